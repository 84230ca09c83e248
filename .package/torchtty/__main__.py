"""The entry of the command `torchtty` and of `python -m torchtty`: a broken import ends in a sentence, not in a traceback."""

import os
import sys
from pathlib import Path


def main() -> None:
    """Run the app or a command; exit with 1 if a module that it needs is missing or hidden by another of that name."""
    try:
        from torchtty.tui.main import main as run

        run()
    except ImportError as error:
        sys.exit(f"torchtty cannot start: {error}. {_advice(error)}")


def _advice(error: ImportError) -> str:
    name = (error.name or "").partition(".")[0]
    if name == "torchtty":
        return (
            f"{Path(__file__).parent} is not complete. Install torchtty again; in a checkout, engine, tui and assets are links "
            "there, which `git config core.symlinks true` and `git checkout -- .package` bring back."
        )
    place = error.path or getattr(sys.modules.get(name), "__file__", None)
    if place is not None:
        entry = max((entry for entry in sys.path if Path(place).is_relative_to(entry or ".")), key=len, default="")
        if Path(entry).resolve() in _folders_of_the_user():
            return (
                f"{place} is imported in place of the installed {name}. Rename it, start torchtty in another folder, "
                "or take its folder out of PYTHONPATH."
            )
    return "Install torchtty again, with what it needs: pip install --force-reinstall torchtty."


def _folders_of_the_user() -> set[Path]:
    return {Path(folder).resolve() for folder in (".", *os.environ.get("PYTHONPATH", "").split(os.pathsep))}


if __name__ == "__main__":
    main()
