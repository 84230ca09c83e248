"""`torchtty doctor`, whether everything that torchtty needs is here, `--version`, and `torchtty guide`."""

import os
import platform
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import nullcontext
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.text import Text

from torchtty.engine.contract.client.notification import VARIABLE as NOTIFY
from torchtty.engine.contract.client.notification import is_found, notify_command
from torchtty.engine.contract.client.workers import WarmWorker
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import config_folder, data_folder, runs_folder, state_folder
from torchtty.engine.contract.printable import printable_line
from torchtty.tui.cli.console import Exit, UsageError, grid, messages, output, print_json, speaks_unicode
from torchtty.tui.format import size
from torchtty.tui.guide import PAGES, read_page
from torchtty.tui.images.protocol import Protocol, chosen
from torchtty.tui.shell.notification import chosen as ways_to_notify

PATIENCE = 90.0  # seconds that a worker gets to import torch, from a cold disk at worst
PACKAGES = ("torchtty", "textual", "rich", "plotext", "pydantic", "textual-image", "tiktoken", "safetensors")


def doctor(*, as_json: bool) -> int:
    """Look at terminal, Python, torch and folders; return 1 if training could not work here."""
    places = {"runs": runs_folder(), "data": data_folder(), "state": state_folder(), "config": config_folder()}
    folders = {name: _folder(path) for name, path in places.items()}
    found = {
        "terminal": _terminal(),
        "python": _python(),
        "folders": folders,
        "notifications": _notifications(),
        "torch": _torch(quiet=as_json),
    }
    complaints = [
        f"The {name} folder {folder['path']} cannot be written: set TORCHTTY_{name.upper()} to one that can be."
        for name, folder in folders.items()
        if not folder["writable"]
    ]
    if error := found["torch"].get("error"):
        complaints.append(f"torch could not be used: {error}")
    if as_json:
        print_json(found | {"problems": complaints})
    else:
        _print(found, complaints)
    return Exit.FAILED if complaints else Exit.DONE


def version() -> int:
    """Print the version of torchtty; return the exit code."""
    print(f"torchtty {installed('torchtty') or 'from a folder that is not installed'}")
    return Exit.DONE


def guide(page: str | None) -> int:
    """Print a page of the guide, as Markdown where the output is no terminal, or list the pages; return the exit code."""
    console = output()
    if page is None:
        console.print(grid(PAGES.items(), ""))
    elif page not in PAGES:
        raise UsageError(f"The guide has no page called '{page}'. The pages are {', '.join(PAGES)}.")
    elif console.is_terminal:
        from torchtty.tui.markdown import Page  # takes 0.2 s to import

        console.print(Page(read_page(page)))
    else:
        print(read_page(page), end="")
    return Exit.DONE


def installed(name: str) -> str | None:
    """Return the version of an installed package without importing it, None if it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def cores() -> int | None:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _terminal() -> dict[str, Any]:
    width, height = shutil.get_terminal_size()
    console = output()
    return {
        "is_terminal": sys.stdout.isatty(),
        "size": [width, height],
        "term": os.environ.get("TERM", ""),
        "colours": console.color_system or "none",
        "no_color": bool(os.environ.get("NO_COLOR")),
        "utf8": speaks_unicode(sys.stdout),
        "images": images_protocol(os.environ),
        "ssh": "SSH_CONNECTION" in os.environ,
        "tmux": "TMUX" in os.environ,
    }


def images_protocol(environment: Mapping[str, str]) -> str:
    """Return how the app shows pictures in a terminal of this environment."""
    protocol = chosen(environment)
    return "half blocks" if protocol is Protocol.BLOCKS else protocol.value


def _python() -> dict[str, Any]:
    return {
        "version": platform.python_version(),
        "executable": sys.executable,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": cores(),
        "packages": {name: installed(name) for name in PACKAGES},
    }


def _folder(path: Path) -> dict[str, Any]:
    standing = path
    while not standing.exists() and standing != standing.parent:
        standing = standing.parent
    try:
        # Trying shows more than permissions do: a full or read-only disk refuses too.
        with tempfile.TemporaryFile(dir=standing) as file:
            file.write(b"torchtty")
        writable = standing.is_dir()
    except OSError:
        writable = False
    try:
        free = shutil.disk_usage(standing).free
    except OSError:
        free = 0
    return {"path": str(path), "exists": path.exists(), "writable": writable, "free_bytes": free}


def _notifications() -> dict[str, Any]:
    """Return how an app notifies in this terminal, and what a worker would run."""
    try:
        command, error = notify_command(), ""
    except UserError as problem:
        command, error = [], str(problem)
    found = is_found(command) if command else None
    return {"terminal": ways_to_notify().value, "command": shlex.join(command), "found": found, "error": error}


def _notified_by(found: dict[str, Any]) -> str:
    if found["error"]:
        return str(found["error"])
    if not found["command"]:
        return f"none ({NOTIFY} sets a command that runs when a run ends)"
    return f"{found['command']} ({'found' if found['found'] else 'not found: there is no such program'})"


def _torch(*, quiet: bool) -> dict[str, Any]:
    """Ask a worker what it finds: torch is never imported here."""
    began = time.monotonic()
    worker = WarmWorker()
    try:
        with nullcontext() if quiet else messages().status("importing torch"):
            while (hello := worker.hello()) is None and worker.is_alive and time.monotonic() - began < PATIENCE:
                time.sleep(0.1)
        if hello is None:
            lines = worker.log().strip().splitlines() or ["the worker did not answer"]
            return {"version": installed("torch"), "error": lines[-1][:400], "devices": []}
        return {
            "version": hello.get("torch"),
            "devices": hello.get("devices", []),
            "default": hello.get("device"),
            "seconds": round(time.monotonic() - began, 1),
        }
    finally:
        worker.close()


def _print(found: dict[str, Any], complaints: list[str]) -> None:
    console = output()
    console.print(grid((name, Text(printable_line(value))) for name, value in _rows(found)))
    console.print()
    for complaint in complaints:
        console.print(Text(printable_line(complaint), "bold red"))
    if not complaints:
        console.print(Text("Everything that training needs was found.", "green"))


def _rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    terminal, python, torch = found["terminal"], found["python"], found["torch"]
    width, height = terminal["size"]
    kind = terminal["term"] or "unnamed" if terminal["is_terminal"] else "none: the output is a pipe or a file"
    through = "".join(f", through {name}" for name in ("ssh", "tmux") if terminal[name])
    rows = [
        ("terminal", f"{kind}, {width}x{height}{through}"),
        ("colours", terminal["colours"] + (" (NO_COLOR is set)" if terminal["no_color"] else "")),
        ("UTF-8", "yes" if terminal["utf8"] else "no: charts are drawn in ASCII"),
        ("pictures", f"{terminal['images']} (TORCHTTY_IMAGES chooses another way)"),
        ("bell", f"{found['notifications']['terminal']} (TORCHTTY_BELL chooses another way)"),
        ("notify", _notified_by(found["notifications"])),
        ("Python", f"{python['version']}, {python['executable']}"),
        ("system", f"{python['system']}, {python['cores']} cores"),
        ("packages", ", ".join(f"{name} {version or 'missing'}" for name, version in python["packages"].items())),
        ("torch", f"{torch['version']}" + (f", ready in {torch['seconds']} s" if "seconds" in torch else "")),
    ]
    for device in torch["devices"]:
        memory = f", {size(device['memory'])}" if device.get("memory") else ""
        threads = f", {device['threads']} threads" if device.get("threads") else ""
        default = " (taken by auto)" if device["device"] == torch.get("default") else ""
        rows.append(("device", f"{device['device']}: {device['name']}{memory}{threads}{default}"))
    for name, folder in found["folders"].items():
        state = "writable" if folder["writable"] else "not writable"
        rows.append((name, f"{folder['path']}, {state}, {size(folder['free_bytes'])} free"))
    return rows
