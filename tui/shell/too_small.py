"""What is shown where the terminal is too small for anything else."""

from textual.app import ComposeResult
from textual.content import Content
from textual.events import Resize
from textual.screen import ModalScreen
from textual.widgets import Static

WIDTH, HEIGHT = 60, 16  # cells below which the screens would be in pieces


class TooSmall(ModalScreen[None]):
    """Covers the screen until the terminal is large enough again."""

    def compose(self) -> ComposeResult:
        yield Static()

    def on_mount(self) -> None:
        self._say()

    def on_resize(self, event: Resize) -> None:  # noqa: ARG002
        if fits(self.app.size.width, self.app.size.height):
            if self.is_current:  # several sizes may come before the screen is gone
                self.dismiss()
        else:
            self._say()

    def _say(self) -> None:
        size = self.app.size
        self.query_one(Static).update(Content(f"{size.width}x{size.height} is too small: {WIDTH}x{HEIGHT} needed"))


def fits(width: int, height: int) -> bool:
    """Whether the app can be used in a terminal of that size."""
    return width >= WIDTH and height >= HEIGHT
