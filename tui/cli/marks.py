"""`torchtty star`, `tag` and `note`: what a person marks runs with."""

from collections.abc import Sequence

from torchtty.engine.contract.run import marks
from torchtty.engine.contract.run.directory import find_run
from torchtty.tui.cli.console import Exit, UsageError, notify, output


def star(names: Sequence[str], *, off: bool) -> int:
    """Give runs a star, or take it away; return the exit code."""
    for run in [find_run(name) for name in names]:
        marks.star(run, starred=not off)
        notify(f"{run.name} has {'no star any more' if off else 'a star'}.")
    return Exit.DONE


def tag(name: str, tags: Sequence[str], *, off: bool) -> int:
    """Add tags to a run, or remove them; without any, print those that it has; return the exit code.

    A word may hold several: "good baseline" are two tags, as in the app.
    """
    run, tags = find_run(name), [tag for word in tags for tag in marks.split_tags(word) or [word]]
    if not tags:
        if off:
            raise UsageError("Name the tags that are to be removed.")
        _print_lines(marks.read_marks(run).tags)
        return Exit.DONE
    has = marks.tag(run, *((), tags) if off else (tags, ()))
    notify(f"{run.name} is tagged {', '.join(has.tags)}." if has.tags else f"{run.name} has no tags.")
    return Exit.DONE


def note(name: str, text: str | None, *, off: bool) -> int:
    """Give a run a note in place of the one that it has, or remove it; without a text print it; return the exit code."""
    run = find_run(name)
    if off and text:
        raise UsageError("Either a text or --off, which removes the note.")
    if text is None and not off:
        written = marks.read_marks(run).note
        _print_lines([written] if written else [])
        return Exit.DONE
    marks.note(run, text or "")
    notify(f"{run.name} has {'a note' if marks.read_marks(run).note else 'no note any more'}.")
    return Exit.DONE


def _print_lines(lines: Sequence[str]) -> None:
    for line in lines:
        output().print(line, soft_wrap=True)
