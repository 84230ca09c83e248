"""What the figures were measured on."""

import os
import platform
from pathlib import Path
from typing import Any

import psutil

from torchtty.tui.cli.version import installed


def machine() -> dict[str, Any]:
    """Return processor, cores, memory in GB, system, versions, and how busy the machine was before it was measured."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": installed("torch"),
        "textual": installed("textual"),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def described(found: dict[str, Any]) -> str:
    """Write the machine on one line."""
    load = "" if found["load"] is None else f", load {found['load']} before"
    return (
        f"{found['cpu']}, {found['cores']} cores, {found['memory_gb']} GB, {found['system']}, "
        f"Python {found['python']}, torch {found['torch']}, textual {found['textual']}{load}"
    )


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"
