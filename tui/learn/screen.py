"""The Learn screen: its pages, one shown at a time, each built when it is first looked at."""

from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from torchtty.tui.shell.header import Header
from torchtty.tui.shell.key_bar import KeyBar


@dataclass(frozen=True)
class Page:
    """A page: its name, its title, the class of its widget as `module:name`, and what it is for."""

    name: str
    title: str
    widget: str
    about: str


PAGES = (
    Page("tour", "Tour", "torchtty.tui.learn.tour:TourPage", "The recipes in the order of the course"),
    Page("by-hand", "By hand", "torchtty.tui.learn.by_hand:ByHandPage", "A transformer by hand, number by number"),
    Page("losses", "Losses", "torchtty.tui.learn.losses:LossesPage", "What losses compute, and where they go wrong"),
    Page("optimizers", "Optimizers", "torchtty.tui.learn.surfaces:SurfacesPage", "Optimizers walking down surfaces"),
)


class PageTabs(Widget):
    """The pages on one line, each with its key; a click goes to one."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "PageTabs { height: 1; background: $surface; }"

    def __init__(self) -> None:
        super().__init__()
        self.current = PAGES[0].name
        self._spans: list[tuple[int, int, str]] = []

    def show(self, current: str) -> None:
        self.current = current
        self.refresh()

    def render(self) -> Content:
        at, parts = 1, [Content(" ")]
        self._spans = []
        for number, page in enumerate(PAGES, start=1):
            active = page.name == self.current
            text = f"[{page.title}]" if active else f" {number} {page.title} "
            self._spans.append((at, at + len(text), page.name))
            parts.append(Content.styled(text, "bold $text-accent" if active else "$foreground 60%"))
            at += len(text)
        return Content("").join(parts)

    async def on_click(self, event: Click) -> None:
        event.stop()
        for start, end, name in self._spans:
            if start <= event.x < end:
                await self.run_action(f"screen.page('{name}')")


class LearnScreen(Screen[None]):
    """What is arithmetic on a page: it needs no worker, and is there while torch is still being imported."""

    BINDING_GROUP_TITLE = "Learn"
    HELP = "How these models work: a tour, a transformer by hand, losses, optimizers. 1 to 4 go to the pages."
    DEFAULT_CSS = """
    LearnScreen ContentSwitcher { height: 1fr; }
    LearnScreen OptionList:focus { background-tint: $foreground 0%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            str(number),
            f"page('{page.name}')",
            page.title.lower(),
            show=False,
            id=f"learn.{page.name}",
            tooltip=page.about,
        )
        for number, page in enumerate(PAGES, start=1)
    ]

    def compose(self) -> ComposeResult:
        yield Header("learn")
        yield PageTabs()
        with Vertical():
            yield ContentSwitcher()
        yield KeyBar()

    async def on_mount(self) -> None:
        await self.action_page(PAGES[0].name)

    def on_screen_resume(self) -> None:
        """Look again at what runs have reached in the meantime."""
        from torchtty.tui.learn.tour import TourPage

        for page in self.query(TourPage):
            page.look_at_runs()

    async def action_page(self, name: str) -> None:
        """Show a page, and build it if it was not there yet."""
        switcher = self.query_one(ContentSwitcher)
        if not switcher.query(f"#{name}"):
            module, _, widget = next(page.widget for page in PAGES if page.name == name).partition(":")
            made: Widget = getattr(import_module(module), widget)()
            made.id = name
            await switcher.add_content(made)
        switcher.current = name
        self.query_one(PageTabs).show(name)
        page = switcher.query_one(f"#{name}")
        if self.focused is None or page not in self.focused.ancestors_with_self:
            self.set_focus(next((child for child in page.query(".first") if child.focusable), None))
        self.refresh_bindings()
