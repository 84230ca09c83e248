"""The place of a run's pictures, empty until a run that draws some is shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual.containers import Container

from torchtty.engine.contract.run.events import Images

if TYPE_CHECKING:
    from torchtty.tui.images.panel import ImagePanel


class Pictures(Container):
    """Holds the panel of pictures, made when it is first needed: it imports pillow, which runs on text do without."""

    DEFAULT_CSS = """
    Pictures { height: 3fr; width: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._panel: ImagePanel | None = None
        self._known: tuple[Images, ...] = ()

    def attach(self, media: Path | None) -> None:
        """Show the grids of another run's `media/`, or none."""
        self._known = ()
        if self._panel is None and media is not None:
            from torchtty.tui.images.panel import ImagePanel

            self._panel = ImagePanel()
            self.mount(self._panel)
        if self._panel is not None:
            self._panel.attach(media)

    def explain(self, text: str) -> None:
        """Say why there are no pictures yet."""
        if self._panel is not None:
            self._panel.explain(text)

    def take(self, images: Sequence[Images]) -> None:
        """Take all grids that were announced."""
        grids = tuple(images)
        if self._panel is not None and grids != self._known:
            self._panel.take(grids)
            self._known = grids

    def draw(self) -> None:
        """Request pictures from fresh noise."""
        if self._panel is not None:
            self._panel.focus()
            self._panel.action_draw()

    def show_step(self, step: float | None) -> None:
        """Show the grid drawn nearest to a step; None follows the newest."""
        if self._panel is not None:
            self._panel.show_step(step)
