"""The console entry: the app where nothing is asked for, a command otherwise.

`torchtty` alone must be on screen at once, so it reaches the app without importing anything of the command line.
"""

import gc
import os
import sys

WITHOUT_TERMINAL = """\
The app needs a terminal, and its input or output here is a pipe or a file. These commands do not:

  torchtty train mlp --json     train a model and print the result as JSON
  torchtty sample latest        text from the latest run
  torchtty runs --json          every run
  torchtty --help               all commands
"""


def main() -> None:
    """Run the app or a command, and exit with 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    asked_by_shell = "_TORCHTTY_COMPLETE" in os.environ  # what to complete
    sys.exit(_app() if len(sys.argv) == 1 and not asked_by_shell else _command())


def _app() -> int:
    in_terminal = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    in_browser = os.environ.get("TEXTUAL_DRIVER")  # set by textual-serve
    if not in_terminal and not in_browser:
        sys.stderr.write(WITHOUT_TERMINAL)
        return 2
    # Two things that together take a tenth of the start: plugins of pydantic, looked for in the metadata of every installed
    # package, and garbage, of which importing makes hardly any. The app collects it later.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()
    from torchtty.tui.app import run_app

    return run_app()


def _command() -> int:
    from torchtty.tui.cli.console import guarded

    return guarded(_run_command)


def _run_command() -> int:
    # An argument that is no UTF-8 keeps its readable part: nothing downstream can write lone surrogates.
    arguments = [argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for argument in sys.argv[1:]]
    from torchtty.tui.cli.program import run

    return run(arguments)


if __name__ == "__main__":
    main()
