"""The line on top of a run: its state, its name, and what it is."""

from textual.content import Content
from textual.widgets import Static

from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.tui.format import STATE_LOOKS

NO_RUN = Content.assemble(("no run yet", "bold"), ("  ctrl+t starts one with the settings shown", "$foreground 65%"))


class Headline(Static):
    """`● running  gpt-names-2  GPT · given-names · 48,637 parameters · cpu`."""

    DEFAULT_CSS = """
    Headline { height: 1; width: 100%; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: Content | None = None

    def show(self, content: Content) -> None:
        """Show a headline, painted only where it differs from the one before."""
        if content != self._shown:
            self._shown = content
            self.update(content, layout=False)


def opening(name: str) -> Content:
    """Write the headline of a run of which nothing is known yet."""
    return Content.assemble(("◌ opening", "bold $text-accent"), "  ", (printable_line(name), "bold"))


def headline(snapshot: RunSnapshot, pending: str) -> Content:
    """Write the headline of a run; `pending` is what was asked of it and has not happened yet."""
    status = snapshot.status
    look = STATE_LOOKS[status.state]
    word = f"{look.word}, {pending}" if pending else look.word
    if status.waiting_for:
        word += f" behind {printable_line(status.waiting_for)}"
    facts = []
    if snapshot.family is not None:
        facts += [snapshot.family.title, printable_line(snapshot.dataset)]
    if status.parameters is not None:
        facts.append(f"{status.parameters:,} parameters")
    if status.device:
        facts.append(printable_line(status.device))
    return Content.assemble(
        (f"{look.sign} {word}", f"bold {look.colour}"),
        "  ",
        (printable_line(snapshot.name), "bold"),
        ("  " + " · ".join(filter(None, facts)), "$foreground 60%"),
    )
