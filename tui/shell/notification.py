"""Notifying whoever has left the terminal: the bytes of a bell and of a desktop notification, for the terminal there is."""

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from torchtty.engine.contract.printable import printable_line, shortened

if TYPE_CHECKING:
    from torchtty.engine.contract.diagnosis.finding import Finding
    from torchtty.engine.contract.run.snapshot import RunSnapshot

VARIABLE = "TORCHTTY_BELL"
TITLE = "torchtty"
LONGEST = 200  # characters
BELL = "\a"
OSC_777 = ("rxvt", "foot")  # terminals, by TERM, that take OSC 777 and not OSC 9
NO_OSC = ("linux", "screen", "dumb", "vt")  # by TERM: they might show the bytes
PASSED_ON = "\x1bPtmux;{}\x1b\\"  # what tmux hands to the terminal around it, if allow-passthrough is on


class Way(StrEnum):
    """How the terminal is made to notify."""

    OFF = "off"
    BELL = "bell"
    OSC_9 = "osc9"
    OSC_777 = "osc777"


def chosen(environment: Mapping[str, str] = os.environ) -> Way:
    """Return the way that `TORCHTTY_BELL` names, else the one that the terminal is known for."""
    wanted = environment.get(VARIABLE, "").strip().lower()
    if wanted in list(Way):
        return Way(wanted)
    if environment.get("TEXTUAL_DRIVER"):  # a browser
        return Way.OFF
    term = environment.get("TERM", "")
    if "TMUX" not in environment and (not term or term.startswith(NO_OSC)):
        return Way.BELL
    return Way.OSC_777 if term.startswith(OSC_777) or "VTE_VERSION" in environment else Way.OSC_9


def sequence(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return what to write to the terminal so that it notifies; empty where nobody wants that.

    Every way rings the bell as well, which reaches further than any notification: through screen, tmux and mosh.
    """
    way = chosen(environment)
    if way is Way.OFF:
        return ""
    if way is Way.BELL:
        return BELL
    body = _harmless(text)
    osc = f"\x1b]9;{body}{BELL}" if way is Way.OSC_9 else f"\x1b]777;notify;{TITLE};{body}{BELL}"
    if "TMUX" in environment:
        osc = PASSED_ON.format(osc.replace("\x1b", "\x1b\x1b"))
    return osc + BELL


def _harmless(text: str) -> str:
    """Return a text that ends no sequence, and of which no part is taken for another command: some begin with a digit."""
    safe = printable_line(shortened(text, LONGEST)).replace(";", ",")
    return safe if not safe[:1].isdigit() else f" {safe}"


class Announcements:
    """What is worth a notification of the runs that are watched, each thing once."""

    def __init__(self) -> None:
        self._live: set[str] = set()
        self._diverging: set[str] = set()

    def of_state(self, snapshot: "RunSnapshot") -> str:
        """Say that a run has ended which was seen alive; empty otherwise."""
        path = str(snapshot.run.path)
        if snapshot.is_live:
            self._live.add(path)
            return ""
        if path not in self._live:
            return ""
        self._live.discard(path)
        self._diverging.discard(path)
        losses = "  ".join(f"{metric.label or metric.title} {value:.3f}" for metric, value in snapshot.summarised)
        about = snapshot.status.message or losses
        return f"{snapshot.name} {snapshot.state.value}" + (f": {about}" if about else "")

    def of_findings(self, snapshot: "RunSnapshot", findings: "tuple[Finding, ...]") -> str:
        """Say that a run diverges which trains on; empty otherwise."""
        path = str(snapshot.run.path)
        found = next((finding for finding in findings if finding.name == "diverges"), None)
        if found is None or path in self._diverging or not snapshot.is_live:
            return ""
        self._diverging.add(path)
        return f"{snapshot.name} {found.what}"
