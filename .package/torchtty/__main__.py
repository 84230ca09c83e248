"""`python -m torchtty`: the same as the command `torchtty`."""

from torchtty.tui.main import main

main()
