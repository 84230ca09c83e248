"""`torchtty export`, `import`, `delete` and `rename`: runs as files."""

import sys
from collections.abc import Sequence

from torchtty.engine.contract.client.deletion import delete as delete_run
from torchtty.engine.contract.client.deletion import disk_usage
from torchtty.engine.contract.client.deletion import rename as rename_run
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.group import RunGroup, find_group, remove_group
from torchtty.engine.contract.experiments.lifecycle import rename_group
from torchtty.engine.contract.exports.importing import import_run
from torchtty.engine.contract.exports.kinds import KINDS, STDOUT, ExportKind, checked_target, kind_of, refused
from torchtty.engine.contract.paths import expanded
from torchtty.engine.contract.run.directory import RunDirectory, find_run
from torchtty.engine.contract.run.requests import Export
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.tui.cli.console import Exit, UsageError, messages, notify, print_json
from torchtty.tui.cli.requests import ask
from torchtty.tui.format import count, size
from torchtty.tui.run.export import ChartView, Written, text_of, write


def export(
    name: str, target: str, kind_name: str | None, *, force: bool, chart: str, checkpoint: str, as_json: bool
) -> int:
    """Write a run, or a part of it, to a file, a folder or stdout; return the exit code."""
    snapshot = RunSnapshot.of(find_run(name))
    kind = _kind(snapshot, target, kind_name)
    if refusal := refused(snapshot, kind):
        raise UserError(refusal)
    view = ChartView(chart)
    if target == STDOUT:
        if not kind.is_text or as_json:
            raise UsageError(
                f"{kind.name} cannot go to stdout{' together with --json' if kind.is_text else ''}: name a file."
            )
        sys.stdout.write(text_of(snapshot, kind, view))
        return Exit.DONE
    if kind.name == "transformers":
        return _export_by_worker(snapshot, target, as_json=as_json)
    written = write(snapshot, kind, target, force=force, view=view, checkpoint=checkpoint)
    if as_json:
        _print_written(snapshot, kind, written)
    else:
        notify(written.sentence)
    return Exit.DONE


def _kind(snapshot: RunSnapshot, target: str, wanted: str | None) -> ExportKind:
    if wanted is not None:
        if wanted not in KINDS:
            raise UsageError(f"There is no kind of export called '{wanted[:40]}'. The kinds are {', '.join(KINDS)}.")
        kind = KINDS[wanted]
        meant = kind_of(target, snapshot)
        if meant is not None and meant is not kind and meant.names_file(target):
            raise UsageError(
                f"{target} ends like {meant.name}, but --as says {kind.name}: name another file, or leave --as out."
            )
        return kind
    if (found := kind_of(target, snapshot)) is not None:
        return found
    lines = (f"  {kind.name:14}{' '.join(kind.suffixes) or 'a folder':22}{kind.about}" for kind in KINDS.values())
    first = f"Say with --as what is to be written to {target}, or name a file with one of the endings:"
    raise UsageError("\n".join([first, *lines]))


def _export_by_worker(snapshot: RunSnapshot, folder: str, *, as_json: bool) -> int:
    """Have a worker write the model into a new folder; return the exit code."""
    run, path = snapshot.run, checked_target(folder, KINDS["transformers"])
    end = ask(run, Export(path=str(path)), lambda _: None)
    if end is None or end.event != "answered":
        return Exit.INTERRUPTED
    result = end.result or {}
    files = result.get("files") or []
    if as_json:
        print_json({"run": run.name, "step": end.step, "path": result.get("path"), "files": files})
        return Exit.DONE
    notify(f"{run.name} as of step {count(end.step)} is in {result.get('path')}: {', '.join(files)}.")
    if "vocab.json" not in files:
        notify("Its tokenizer was left out: it has no form that transformers reads.")
    return Exit.DONE


def _print_written(snapshot: RunSnapshot, kind: ExportKind, written: Written) -> None:
    about = {"run": snapshot.name, "kind": kind.name, "path": str(written.path), "files": list(written.files)}
    print_json(about | {"step": written.step if written.step is not None else snapshot.status.step})


def import_archive(archive: str, name: str | None, *, as_json: bool) -> int:
    """Bring a run in from an archive; return the exit code."""
    run = import_run(expanded(archive), name)
    status = run.status()
    if as_json:
        print_json({"run": run.name, "path": str(run.path), "state": status.state.value, "step": status.step})
        return Exit.DONE
    sys.stdout.write(f"{run.name}\n")
    notify(f"{run.name} is {status.state.value} at step {count(status.step)}. 'torchtty show {run.name}' shows it.")
    return Exit.DONE


def delete(names: Sequence[str], *, confirmed: bool) -> int:
    """Delete runs, and groups with theirs, after asking on a terminal; return the exit code.

    Where one is refused, none is deleted.
    """
    groups = [group for name in names if (group := find_group(name)) is not None]
    named = {group.name for group in groups}
    runs = list(dict.fromkeys([*map(find_run, (name for name in names if name not in named)), *_runs_of(groups)]))
    refusals = [refusal for run in runs if (refusal := RunSnapshot(run, run.status()).refusal(Action.DELETE))]
    if refusals:
        raise UserError("\n".join(refusals))
    if not confirmed and not _agreed([run.name for run in runs], sum(map(disk_usage, runs))):
        notify("Nothing was deleted.")
        return Exit.FAILED
    for run in runs:
        notify(f"{run.name} is deleted: {size(delete_run(run))} are free again.")
    for group in groups:
        remove_group(group)
        notify(f"The group {group.name} is deleted.")
    return Exit.DONE


def _runs_of(groups: Sequence[RunGroup]) -> list[RunDirectory]:
    return [run for group in groups for run in group.runs()]


def _agreed(names: Sequence[str], bytes: int) -> bool:
    """Ask on a terminal whether runs are to go; raise `UsageError` where nobody can answer."""
    if not sys.stdin.isatty():
        raise UsageError("Nobody can be asked here whether the run is to go: add --yes to delete it.")
    notify(f"{', '.join(names)}: curves, samples and checkpoints, {size(bytes)}, which cannot be brought back.")
    answer = messages().input(f"Delete {'it' if len(names) == 1 else f'these {len(names)} runs'}? [y/N] ", markup=False)
    return answer.strip().lower() in ("y", "yes")


def rename(name: str, new: str) -> int:
    """Give a run, or a group and its runs, another name; return the exit code."""
    if (group := find_group(name)) is not None:
        notify(f"{group.name} is called {rename_group(group, new).name} now, and its runs after it.")
        return Exit.DONE
    run = find_run(name)
    renamed = rename_run(run, new)
    notify(f"{run.name} is called {renamed.name} now.")
    return Exit.DONE


__all__ = ["delete", "export", "import_archive", "rename"]
