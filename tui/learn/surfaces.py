"""The page on which six optimizers walk down a surface, step by step, with the numbers of every step."""

import math
from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from torchtty.engine.contract.learn.surfaces import Pair, Surface, Walk, Walker, surfaces, walkers
from torchtty.tui.charts.axes import Axis
from torchtty.tui.charts.plane import Dot, Plane, PlaneCurve, PlaneView
from torchtty.tui.charts.style import MARKERS, PALETTE, faded

MOST_STEPS = 1000
INTERVAL = 0.2  # seconds between two steps while it runs
BANDS = 12  # colours of a surface
LOW, HIGH = "#0d1620", "#41566b"  # the colours of its lowest and its highest places
RATES = tuple(mantissa * 10**exponent for exponent in range(-4, 2) for mantissa in (1, 2, 5))


class SurfacesPage(Vertical):
    """A surface, a list of optimizers with where they are, and the step of the one that is chosen."""

    BINDING_GROUP_TITLE = "Optimizers"
    SCOPED_CSS = False
    DEFAULT_CSS = """
    SurfacesPage { height: 1fr; }
    SurfacesPage #surface-about { height: auto; padding: 0 1; }
    SurfacesPage > Horizontal { height: 1fr; }
    SurfacesPage #walk { width: 46; height: 1fr; padding: 0 1; border-right: vkey $foreground 15%; }
    SurfacesPage #walkers { height: auto; border: none; padding: 0; background: $background; }
    SurfacesPage #walk-step { height: auto; margin-top: 1; }
    SurfacesPage PlaneView { padding: 0 1; }
    LearnScreen.-high SurfacesPage #surface-about { margin-bottom: 1; }
    LearnScreen.-narrow SurfacesPage #walk { width: 36; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "step(1)", "step", id="walk.step", tooltip="One step of every optimizer"),
        Binding("backspace,b", "step(-1)", "back", id="walk.back", tooltip="One step back"),
        Binding("g", "go", "go", id="walk.go", tooltip="Walk on by itself, or pause"),
        Binding("r", "restart", "restart", id="walk.restart", tooltip="Back to the start"),
        Binding("s", "surface", "surface", id="walk.surface", tooltip="Another surface"),
        Binding(
            "plus,equals_sign,right",
            "rate(1)",
            "rate",
            key_display="+−",
            id="walk.faster",
            tooltip="A larger learning rate",
        ),
        Binding(
            "minus,left", "rate(-1)", "smaller rate", show=False, id="walk.slower", tooltip="A smaller learning rate"
        ),
        Binding(
            "a", "alone", "alone", id="walk.alone", tooltip="Show the way of the chosen optimizer alone, or of all"
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._surface = 0
        self._step = 0
        self._alone = False
        self._timer: Timer | None = None
        self._rates: dict[tuple[str, str], float] = {}  # that were changed, by optimizer and surface
        self._walks: dict[str, Walk] = {}
        self._begin()

    def compose(self) -> ComposeResult:
        yield Static(id="surface-about")
        with Horizontal():
            with Vertical(id="walk"):
                yield Static(id="walk-head")
                yield OptionList(*(Option("", id=walker.key) for walker in walkers()), id="walkers", classes="first")
                yield Static(id="walk-step")
            yield PlaneView()

    def on_mount(self) -> None:
        self.query_one(OptionList).highlighted = 0

    @property
    def surface(self) -> Surface:
        return surfaces()[self._surface]

    @property
    def walker(self) -> Walker:
        """The chosen optimizer."""
        return walkers()[self.query_one(OptionList).highlighted or 0]

    def _rate_of(self, walker: Walker) -> float:
        return self._rates.get((walker.key, self.surface.key), walker.rates[self.surface.key])

    def _begin(self) -> None:
        self._walks = {walker.key: Walk(walker.key, self.surface, self._rate_of(walker)) for walker in walkers()}

    # -- keys -----------------------------------------------------------------------------------------------------

    def action_step(self, by: int) -> None:
        self._step = min(max(self._step + by, 0), MOST_STEPS)
        if self._step == MOST_STEPS:
            self._stop()
        self._show()

    def action_go(self) -> None:
        """Let the walks go on by themselves, or pause them."""
        if self._timer is None:
            self._timer = self.set_interval(INTERVAL, self._go_on)
        else:
            self._stop()

    def _go_on(self) -> None:
        if self.is_on_screen and self.screen.is_active:  # nobody sees it otherwise
            self.action_step(1)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def action_restart(self) -> None:
        self._stop()
        self._step = 0
        self._show()

    def action_surface(self) -> None:
        """Show the next surface."""
        self._surface = (self._surface + 1) % len(surfaces())
        self._begin()
        self.action_restart()

    def action_rate(self, by: int) -> None:
        """Take the next of 1, 2 and 5 times a power of ten for the chosen optimizer, and walk the same steps anew."""
        walker = self.walker
        now = self._rate_of(walker)
        places = [rate for rate in RATES if (rate > now * 1.001 if by > 0 else rate < now * 0.999)]
        if places:
            self._rates[walker.key, self.surface.key] = min(places) if by > 0 else max(places)
            self._walks[walker.key] = Walk(walker.key, self.surface, self._rate_of(walker))
            self._show()

    def action_alone(self) -> None:
        self._alone = not self._alone
        self._show()

    @on(OptionList.OptionHighlighted)
    def _chosen(self) -> None:
        self._show()

    # -- showing --------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        surface = self.surface
        about = Content.assemble(
            (f"{surface.title}  ", "bold"), (f"{surface.formula}  ", "$text-accent"), surface.about
        )
        self.query_one("#surface-about", Static).update(about)
        head = Content.assemble((f"step {self._step}".ljust(13), "bold"), ("rate       loss", "$foreground 55%"))
        self.query_one("#walk-head", Static).update(head)
        chosen = self.query_one(OptionList)
        for number, walker in enumerate(walkers()):
            chosen.replace_option_prompt(walker.key, self._line(number, walker))
        self.query_one("#walk-step", Static).update(self._numbers())
        self.query_one(PlaneView).show(self._plane())

    def _sign(self, number: int) -> str:
        """Return the sign of an optimizer: where there are no colours, the marker of its way."""
        return MARKERS[number + 1] if self.app.no_color else "●"

    def _line(self, number: int, walker: Walker) -> Content:
        """Write where an optimizer is: its name, rate and loss."""
        moment = self._walks[walker.key].at(self._step)
        loss = "lost" if not math.isfinite(moment.loss) else f"{moment.loss:.4f}"
        return Content.assemble(
            (f"{self._sign(number)} ", PALETTE[number]), f"{walker.title:<9}{self._rate_of(walker):>7g} {loss:>10}"
        )

    def _numbers(self) -> Content:
        """Write the step that led the chosen optimizer to where it is."""
        walker = self.walker
        moment = self._walks[walker.key].at(self._step)
        parts = [
            Content.styled(walker.title, "bold"),
            Content.styled(walker.formula, "$text-accent"),
            Content(walker.about),
            Content(""),
        ]
        if not math.isfinite(moment.loss):
            parts.append(
                Content.styled("It has left: the rate is too large here. − takes a smaller one.", "$text-warning")
            )
            return Content("\n").join(parts)
        rows = [*moment.parts, ("now at", moment.place)]
        texts = [(name, *map(_written, pair)) for name, pair in rows]
        widths = [max(cell_len(text[column]) for text in texts) for column in range(3)]
        for number, (name, x, y) in enumerate(texts):
            line = f"{name:<{widths[0]}} {x:>{widths[1]}} {y:>{widths[2]}}"
            parts.append(Content.styled(line, "bold" if number == len(texts) - 1 else ""))
        return Content("\n").join(parts)

    def _plane(self) -> Plane:
        surface, chosen = self.surface, self.walker
        curves, dots = [], []
        for number, walker in enumerate(walkers()):
            if self._alone and walker is not chosen:
                continue
            places = self._walks[walker.key].places(self._step)
            curves.append((walker is chosen, PlaneCurve(tuple(places), PALETTE[number], number + 1)))
            dots.append((walker is chosen, Dot(places[-1], self._sign(number), PALETTE[number])))
        curves.sort(key=lambda pair: pair[0])  # the chosen one is drawn last
        dots.sort(key=lambda pair: pair[0])
        return Plane(
            Axis(*surface.x),
            Axis(*surface.y),
            tuple(curve for _, curve in curves),
            tuple(dot for _, dot in dots),
            x_title="x" if self.app.no_color else "x  lower is darker",
            y_title="y",
            behind=colours_of(surface),
        )


def _written(value: float) -> str:
    text = f"{value:.1e}" if abs(value) >= 1e4 or 0 < abs(value) < 5e-5 else f"{value:.4f}"
    return text.replace("-", "−")


@cache
def colours_of(surface: Surface, samples: int = 40) -> Callable[[float, float], str]:
    """Return the colour of each place of a surface: bands that cover about as much of it each, darker where it is low."""
    grid = sorted(
        surface.value(_between(surface.x, i / samples), _between(surface.y, j / samples))
        for i in range(samples + 1)
        for j in range(samples + 1)
    )
    edges = [grid[len(grid) * band // BANDS] for band in range(1, BANDS)]
    colours = [faded(LOW, HIGH, band / (BANDS - 1)) for band in range(BANDS)]

    def colour(x: float, y: float) -> str:
        return colours[bisect_left(edges, surface.value(x, y))]

    return colour


def _between(bounds: Pair, share: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * share
