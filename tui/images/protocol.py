"""How the terminal shows pictures: half blocks, sixel or kitty graphics, chosen by the environment when a picture is first shown.

`TORCHTTY_IMAGES` chooses: blocks, sixel, kitty or off. Otherwise (auto) half blocks are taken, which work everywhere, unless the
environment names a terminal that is known for graphics. The terminal itself is never asked: while the app runs, its answer would
be read as keys, and before that every start would wait for it. Inside tmux and screen, which pass graphics on only where they
are configured to, and in a browser, auto stays with half blocks.
"""

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Protocol(StrEnum):
    """The ways of showing pictures."""

    BLOCKS = "blocks"
    SIXEL = "sixel"
    KITTY = "kitty"
    OFF = "off"


_BY_TERM = {
    "kitty": Protocol.KITTY,
    "ghostty": Protocol.KITTY,
    "wezterm": Protocol.SIXEL,  # it knows kitty's protocol too, but not its placeholders
    "foot": Protocol.SIXEL,
    "mlterm": Protocol.SIXEL,
    "sixel": Protocol.SIXEL,
}
_BY_PROGRAM = dict.fromkeys(("wezterm", "iterm.app", "mintty"), Protocol.SIXEL) | {"ghostty": Protocol.KITTY}
_BY_VARIABLE = {"KITTY_WINDOW_ID": Protocol.KITTY}
_BY_VARIABLE |= dict.fromkeys(("WEZTERM_EXECUTABLE", "ITERM_SESSION_ID"), Protocol.SIXEL)
_WITHOUT_GRAPHICS = ("TMUX", "STY", "TEXTUAL_DRIVER")
_OTHERS = ("ALACRITTY_WINDOW_ID", "KONSOLE_VERSION", "VTE_VERSION", "XTERM_VERSION")


def chosen(environment: Mapping[str, str] = os.environ) -> Protocol:
    """Return the protocol that `TORCHTTY_IMAGES` names; for auto, or a word that means nothing, the one of the terminal."""
    word = environment.get("TORCHTTY_IMAGES", "").strip().lower()
    return Protocol(word) if word in tuple(Protocol) else _of_terminal(environment)


def _of_terminal(environment: Mapping[str, str]) -> Protocol:
    """Return what the environment's terminal is known for, by the variable that is the surest.

    A terminal sets TERM anew, and mostly TERM_PROGRAM; the variables of a session are also seen by a terminal started from it.
    """
    if any(environment.get(name) for name in _WITHOUT_GRAPHICS):
        return Protocol.BLOCKS
    term = environment.get("TERM", "").lower()
    for name, protocol in _BY_TERM.items():
        if name in term:
            return protocol
    if program := environment.get("TERM_PROGRAM", "").lower():
        return _BY_PROGRAM.get(program, Protocol.BLOCKS)
    if not any(name in environment for name in _OTHERS):
        for name, protocol in _BY_VARIABLE.items():
            if name in environment:
                return protocol
    return Protocol.BLOCKS


def graphics_widget(protocol: Protocol) -> Any:
    """Return textual-image's class of widgets for sixel or kitty graphics, None if the library cannot be used here."""
    try:
        from textual_image import _terminal

        # As it is imported, the library would ask the terminal for what it can; the size of a cell then comes from an ioctl.
        _terminal.capture_terminal_response = _unanswered
        from textual_image.widget import SixelImage, TGPImage
    except Exception:  # whatever a terminal's odd size makes of the library, half blocks still work
        return None
    return SixelImage if protocol is Protocol.SIXEL else TGPImage


def _unanswered(*_question: object, **_options: object) -> Any:
    raise TimeoutError
