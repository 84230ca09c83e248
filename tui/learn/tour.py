"""The page of the tour: the stops on the left, and on the right what to do at one."""

from dataclasses import dataclass, replace
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from torchtty.engine.contract.learn.tour import Attempt, Stop, best_attempt, keep_progress, read_progress, stops
from torchtty.engine.contract.lenses import LENSES
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory, list_runs

OPEN = "Open the recipe of this stop in Train"
LENS = "Open the lens that shows why, for your newest run of the recipe"
AGAIN = 3.0  # seconds until a run that trains is looked at again
ITEMS = ("recipe", "try", "beat", "yours", "lens", "page")


class TourPage(Horizontal):
    """Eight stops from counting to drawing; how far a person has come is kept."""

    BINDING_GROUP_TITLE = "Tour"
    SCOPED_CSS = False
    DEFAULT_CSS = """
    TourPage { height: 1fr; }
    TourPage #stops {
        width: 24; height: 1fr; border: none; border-right: vkey $foreground 15%; padding: 0 1; background: $background;
    }
    TourPage VerticalScroll { width: 1fr; height: 1fr; padding: 0 2; scrollbar-size-vertical: 1; }
    TourPage #stop { height: auto; max-width: 96; margin-bottom: 1; }
    TourPage .item { height: auto; max-width: 96; }
    TourPage .item .name { width: 8; color: $text-accent; }
    TourPage .item .text { width: 1fr; height: auto; }
    LearnScreen.-high TourPage .item { margin-bottom: 1; }
    LearnScreen.-narrow TourPage #stops { width: 19; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,o", "open", "open in Train", id="tour.open", tooltip=OPEN),
        Binding("l", "lens", "lens", id="tour.lens", tooltip=LENS),
        Binding("h", "page", "by hand", id="tour.page", tooltip="The page of Learn that explains this stop"),
        Binding("x", "pass", "tick off", id="tour.pass", tooltip="Tick this stop off, or put it back"),
    ]

    @dataclass
    class RecipeWanted(Message):
        """A recipe is to be opened in Train."""

        recipe: str

    @dataclass
    class LensWanted(Message):
        """A lens is to be opened for a run."""

        lens: str
        run: RunDirectory

    def __init__(self) -> None:
        super().__init__()
        self._progress = read_progress()
        self._attempts: dict[str, Attempt] = {}
        self._newest: dict[str, RunDirectory] = {}  # run of a recipe, by its name

    def compose(self) -> ComposeResult:
        yield OptionList(*(Option(self._line(stop), id=stop.key) for stop in stops()), id="stops", classes="first")
        with VerticalScroll(can_focus=False):
            yield Static(id="stop")
            for name in ITEMS:
                with Horizontal(id=f"item-{name}", classes="item"):
                    yield Static(name, classes="name")
                    yield Static(classes="text")

    def on_mount(self) -> None:
        keys = [stop.key for stop in stops()]
        self.query_one(OptionList).highlighted = keys.index(self._progress.at) if self._progress.at else 0

    def on_show(self) -> None:
        self.look_at_runs()

    @property
    def stop(self) -> Stop:
        """The stop that is shown."""
        return stops()[self.query_one(OptionList).highlighted or 0]

    # -- what was reached -----------------------------------------------------------------------------------------

    @work(thread=True, group="attempts", exclusive=True)
    def look_at_runs(self) -> None:
        """Look at what the runs of the recipes have reached."""
        by_recipe: dict[str, list[RunDirectory]] = {}
        for run in list_runs():
            by_recipe.setdefault(str(run.meta().get("recipe")), []).append(run)
        found, live = {}, False
        for stop in stops():
            runs = by_recipe.get(stop.recipe, [])
            live = live or any(run.status().state.is_live for run in runs)
            if (attempt := best_attempt(stop, runs)) is not None:
                found[stop.key] = attempt
        newest = {recipe: runs[0] for recipe, runs in by_recipe.items()}
        self.app.call_from_thread(self._take, found, newest, live)

    def _take(self, attempts: dict[str, Attempt], newest: dict[str, RunDirectory], live: bool) -> None:
        """Show what was reached, and tick off what was beaten; while a run trains, look again."""
        self._attempts, self._newest = attempts, newest
        if live:
            self.set_timer(AGAIN, self._look_again)
        beaten = {key for key, attempt in attempts.items() if attempt.beaten}
        self._keep(passed=self._progress.passed | beaten)
        self._show()

    def _look_again(self) -> None:
        if self.screen.is_active and self.is_on_screen:  # else when it is shown again
            self.look_at_runs()

    def _keep(self, **changes: object) -> None:
        progress = replace(self._progress, **changes)  # type: ignore[arg-type]
        if progress != self._progress:
            self._progress = progress
            keep_progress(progress)

    # -- showing --------------------------------------------------------------------------------------------------

    def _line(self, stop: Stop) -> Content:
        passed = stop.key in self._progress.passed
        number = stops().index(stop) + 1
        return Content.assemble(("✓ " if passed else "  ", "$text-success"), f"{number} {stop.title}")

    @on(OptionList.OptionHighlighted)
    def _chosen(self) -> None:
        self._keep(at=self.stop.key)
        self._show()

    def _show(self) -> None:
        chosen = self.query_one(OptionList)
        for stop in stops():
            chosen.replace_option_prompt(stop.key, self._line(stop))
        stop = self.stop
        number, count = stops().index(stop) + 1, len(stops())
        passed = len(self._progress.passed)
        dim = "$foreground 55%"
        title = Content.assemble((f"{number} of {count}  ", dim), (stop.title, "bold"), (f"  {passed} passed", dim))
        self.query_one("#stop", Static).update(Content("\n").join([title, Content(""), Content(stop.about)]))
        self._fill(
            "recipe", Content.assemble(stop.recipe, ("   ⏎ opens it in Train, ctrl+t starts it", "$foreground 55%"))
        )
        self._fill("try", Content(stop.attempt))
        self._fill("beat", Content(f"{stop.beat.text[:1].upper()}{stop.beat.text[1:]}."))
        self._fill("yours", self._reached(self._attempts.get(stop.key)))
        lens = LENSES.get(stop.lens)
        run = self._newest.get(stop.recipe)
        whose = f"for {printable_line(run.name)}" if run is not None else "once a run of the recipe is there"
        hint = (f"   l opens it {whose}", "$foreground 55%")
        self._fill("lens", Content.assemble(lens.title, hint) if lens is not None else None)
        self._fill("page", Content.assemble("By hand", ("   h opens it", "$foreground 55%")) if stop.page else None)
        self.refresh_bindings()

    def _fill(self, name: str, text: Content | None) -> None:
        """Fill a line of the stop, or leave it out."""
        item = self.query_one(f"#item-{name}")
        item.display = text is not None
        item.query_one(".text", Static).update(text or "")

    @staticmethod
    def _reached(attempt: Attempt | None) -> Content | None:
        if attempt is None:
            return None
        run, dataset = printable_line(attempt.run), printable_line(attempt.dataset)
        if attempt.value is None:
            return Content.styled(f"nothing measured yet in {run}", "$foreground 55%")
        if attempt.limit is None:
            return Content(f"{attempt.value:.3f} in {run}, on {dataset}, for which there is no number to beat")
        how = "beaten" if attempt.beaten else "not yet"
        text = f"{attempt.value:.3f} in {run}, to beat {attempt.limit:.3f}: {how}"
        return Content.styled(text, "$text-success" if attempt.beaten else "$text-warning")

    # -- keys -----------------------------------------------------------------------------------------------------

    @on(OptionList.OptionSelected)
    def action_open(self) -> None:
        self.post_message(self.RecipeWanted(self.stop.recipe))

    def action_lens(self) -> None:
        if (run := self._newest.get(self.stop.recipe)) is not None:
            self.post_message(self.LensWanted(self.stop.lens, run))
        else:
            self.notify(f"No run of {self.stop.recipe} yet: enter opens the recipe, ctrl+t starts it.", markup=False)

    async def action_page(self) -> None:
        await self.run_action(f"screen.page('{self.stop.page}')")

    def action_pass(self) -> None:
        self._keep(passed=self._progress.passed ^ {self.stop.key})
        self._show()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        if not self.is_mounted:
            return True
        if action == "lens":
            return self.stop.lens in LENSES
        return bool(self.stop.page) if action == "page" else True
