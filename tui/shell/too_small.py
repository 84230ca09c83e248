"""What is shown where the terminal is too small for anything else."""

from textual.app import ComposeResult
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

WIDTH, HEIGHT = 60, 16  # cells below which the screens would be in pieces


class TooSmall(ModalScreen[None]):
    """Covers the screen until the terminal is large enough again."""

    def compose(self) -> ComposeResult:
        yield Static()

    def on_resize(self) -> None:
        width, height = self.app.size
        if not fits(width, height):
            self.query_one(Static).update(Content(f"{width}x{height} is too small: {WIDTH}x{HEIGHT} needed"))
        elif self.is_current:  # several sizes may come before the screen is gone
            self.dismiss()


def fits(width: int, height: int) -> bool:
    """Whether the app can be used in a terminal of that size."""
    return width >= WIDTH and height >= HEIGHT
