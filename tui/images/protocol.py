"""How the terminal shows pictures: chosen once, before the app owns the terminal.

`TORCHTTY_IMAGES` chooses: blocks, sixel, kitty or off. Otherwise (auto) half blocks are taken, which work everywhere, unless the
environment names a terminal that is known for graphics; only then is the terminal asked whether it is true, which takes 0.3 s.
Inside tmux and screen, which pass graphics on only where they are told to, auto stays with half blocks.
"""

import os
from collections.abc import Mapping
from enum import StrEnum


class Protocol(StrEnum):
    """The ways of showing pictures."""

    BLOCKS = "blocks"
    SIXEL = "sixel"
    KITTY = "kitty"
    OFF = "off"


_chosen = Protocol.BLOCKS


def chosen() -> Protocol:
    """Return what `prepare` has chosen; half blocks if it was never asked."""
    return _chosen


def prepare(environment: Mapping[str, str] = os.environ) -> Protocol:
    """Choose the protocol and let textual-image ask for the size of a cell; call it before the app starts."""
    global _chosen
    forced = demanded(environment)
    wish = forced or suggested(environment)
    if wish in (Protocol.SIXEL, Protocol.KITTY):
        wish = _confirmed(wish, forced=forced is not None)
    _chosen = wish
    return wish


def demanded(environment: Mapping[str, str]) -> Protocol | None:
    """Return what `TORCHTTY_IMAGES` names; None for auto, and for a word that means nothing."""
    word = environment.get("TORCHTTY_IMAGES", "").strip().lower()
    return Protocol(word) if word in tuple(Protocol) else None


def suggested(environment: Mapping[str, str]) -> Protocol:
    """Return what the environment's terminal is known for."""
    if environment.get("TMUX") or environment.get("STY"):
        return Protocol.BLOCKS
    term, program = environment.get("TERM", "").lower(), environment.get("TERM_PROGRAM", "").lower()
    if "KITTY_WINDOW_ID" in environment or "kitty" in term or "ghostty" in (term.removeprefix("xterm-"), program):
        return Protocol.KITTY
    wezterm = "WEZTERM_EXECUTABLE" in environment or program == "wezterm"
    iterm = "ITERM_SESSION_ID" in environment or program == "iterm.app"
    if wezterm or iterm or program == "mintty" or any(name in term for name in ("foot", "mlterm", "sixel")):
        return Protocol.SIXEL
    return Protocol.BLOCKS


def _confirmed(wish: Protocol, *, forced: bool) -> Protocol:
    """Ask the terminal; a demand holds whatever it answers, but not where the library fails."""
    try:
        import textual_image.widget  # noqa: F401 - asks for the size of a cell
        from textual_image.renderable import Image, SixelImage, TGPImage
    except Exception:  # whatever a terminal's odd answer makes of the library, half blocks still work
        return Protocol.BLOCKS
    if forced:
        return wish
    return {SixelImage: Protocol.SIXEL, TGPImage: Protocol.KITTY}.get(Image, Protocol.BLOCKS)  # type: ignore[call-overload,no-any-return]
