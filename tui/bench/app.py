"""The app as it is, opened with a recipe of the measurement's choice: `python -m torchtty.tui.bench.app RECIPE`."""

import sys

from textual.drivers.linux_driver import LinuxDriver

from torchtty.engine.contract.settings import recipes
from torchtty.tui.app import run_app


def main(recipe: str) -> int:
    """Run the app. It can be frozen and thawed by signals: Textual would take the thaw for a return to the foreground."""
    recipes.DEFAULT = recipe
    LinuxDriver._sigcont_application = lambda *_: None  # type: ignore[method-assign]
    return run_app()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
