"""The page that walks through a transformer step by step, with every number traced to those it comes from."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from torchtty.engine.contract.learn.example import built_in
from torchtty.engine.contract.learn.tables import Table, Trace
from torchtty.engine.contract.learn.walkthrough import Slip, Step, slips, texts, walk
from torchtty.tui.learn.example_dialog import ExampleDialog
from torchtty.tui.learn.table_strip import TableStrip
from torchtty.tui.learn.table_view import TableView
from torchtty.tui.learn.trace import trace_content

FOLLOW = "Go to the numbers that this one comes from"
OTHER = "Go to the other numbers that this one comes from, such as the weights"
MISTAKE = "Make a common slip on purpose, and see what it changes; once more puts it right"
PICTURE = "The table in colours; at the positional encoding, that of many positions"
EDIT = "Take your own sentence and other sizes"


class ByHandPage(Vertical):
    """Thirteen steps of tables, a cursor in the table, and beside it the way to the number under the cursor."""

    BINDING_GROUP_TITLE = "By hand"
    SCOPED_CSS = False  # some rules look at the size of the screen
    DEFAULT_CSS = """
    ByHandPage { height: 1fr; }
    ByHandPage #steps {
        width: 24; height: 1fr; border: none; border-right: vkey $foreground 15%; padding: 0 1; background: $background;
    }
    ByHandPage #lesson { width: 1fr; height: 1fr; padding: 0 1; }
    ByHandPage #step, ByHandPage #about-table { height: auto; margin-bottom: 1; }
    ByHandPage #about-table { color: $foreground 75%; }
    ByHandPage #numbers { width: 1fr; height: 1fr; padding-right: 1; }
    ByHandPage #table { max-height: 60%; }
    ByHandPage #source-tables { height: auto; max-height: 60%; overflow: hidden hidden; }
    ByHandPage .source-name { height: 1; color: $foreground 55%; margin-top: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    ByHandPage #slip { height: auto; margin-top: 1; color: $foreground 75%; &.-made { color: $text-warning; } }
    ByHandPage #trace {
        width: 46; height: 1fr; padding-left: 1; border-left: vkey $foreground 15%; scrollbar-size-vertical: 1;
        scrollbar-gutter: stable; &:focus { border-left: vkey $accent; }
    }
    ByHandPage #trace Static { height: auto; }
    LearnScreen.-broad ByHandPage #trace { width: 60; }
    LearnScreen.-narrow ByHandPage #steps { display: none; }
    LearnScreen.-narrow ByHandPage #trace { width: 30; }
    LearnScreen.-low ByHandPage #source-tables { display: none; }
    LearnScreen.-low ByHandPage #step, LearnScreen.-low ByHandPage #about-table { margin-bottom: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "follow(0)", "follow", id="hand.follow", tooltip=FOLLOW),
        Binding("o", "follow(1)", "other", id="hand.other", tooltip=OTHER),
        Binding("backspace", "back", "back", id="hand.back", tooltip="Back to where you followed from"),
        Binding("n,space", "table(1)", "next", id="hand.next", tooltip="Next table, and behind the last the next step"),
        Binding("p", "table(-1)", "previous", id="hand.previous", tooltip="Previous table or step"),
        Binding("pagedown", "step(1)", "next step", show=False, id="hand.next_step", tooltip="Next step"),
        Binding("pageup", "step(-1)", "previous step", show=False, id="hand.previous_step", tooltip="Previous step"),
        Binding("m", "slip", "slip", id="hand.slip", tooltip=MISTAKE),
        Binding("v", "picture", "picture", id="hand.picture", tooltip=PICTURE),
        Binding("e", "edit", "your own", id="hand.edit", tooltip=EDIT),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._example = built_in()
        self._slips: frozenset[str] = frozenset()
        self._steps: tuple[Step, ...] = walk(self._example)
        self._step = 0
        self._table = 0
        self._history: list[tuple[int, int, tuple[int, int]]] = []

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield OptionList(
                *(Option(f"{step.number:>2} {step.title}", id=f"step-{step.number}") for step in self._steps),
                id="steps",
            )
            with Vertical(id="lesson"):
                yield Static(id="step")
                yield TableStrip()
                yield Static(id="about-table")
                with Horizontal():
                    with Vertical(id="numbers"):
                        yield TableView(id="table", classes="first")
                        with Vertical(id="source-tables"):
                            for number in (0, 1):
                                yield Static(id=f"source-name-{number}", classes="source-name")
                                yield TableView(is_source=True, id=f"source-{number}")
                        yield Static(id="slip")
                    with VerticalScroll(id="trace"):
                        yield Static(id="way")

    def on_mount(self) -> None:
        self._show((0, 0))

    def on_resize(self) -> None:
        self.call_after_refresh(self._explain)

    @property
    def view(self) -> TableView:
        """The table with the cursor."""
        return self.query_one("#table", TableView)

    @property
    def table(self) -> Table:
        """The table that is shown."""
        return self._steps[self._step].tables[self._table]

    @property
    def _trace(self) -> Trace:
        return self.table.trace(*self.view.cursor)

    # -- showing --------------------------------------------------------------------------------------------------

    def _show(self, cursor: tuple[int, int]) -> None:
        """Show the current table with the cursor on a cell."""
        step, table = self._steps[self._step], self.table
        head = Content.assemble((f"{step.number} of {len(self._steps)}  ", "$foreground 55%"), (step.title, "bold"))
        self.query_one("#step", Static).update(Content.assemble(head, "  ", step.about))
        self.query_one(TableStrip).show(step.tables, self._table)
        title, about = texts()[table.key]
        place = f"{table.group} › {title}" if table.group else title
        self.query_one("#about-table", Static).update(Content.assemble((f"{place}. ", "bold"), about))
        self.view.show(table, cursor)
        steps = self.query_one("#steps", OptionList)
        with self.prevent(OptionList.OptionHighlighted):
            steps.highlighted = self._step
        self._explain()
        self.refresh_bindings()

    def _explain(self) -> None:
        """Show where the number under the cursor comes from."""
        trace, (row, column) = self._trace, self.view.cursor
        self.view.show(self.table, (row, column), trace.sources)
        way = self.query_one("#way", Static)
        width = max(way.content_size.width, 20)
        way.update(trace_content(self.table, row, column, trace, width, tight=self.screen.has_class("-low")))
        for number in (0, 1):
            source = trace.sources[number] if number < len(trace.sources) else None
            name, view = (
                self.query_one(f"#source-name-{number}", Static),
                self.query_one(f"#source-{number}", TableView),
            )
            name.display = view.display = source is not None and source.table is not self.table
            if source is not None:
                title = texts()[source.table.key][0].lower()
                name.update(Content(f"{source.table.symbol} · {title}"))
                view.show(source.table, (0, 0), trace.sources)
        self._show_slip()
        self.refresh_bindings()

    def _slip_here(self) -> Slip | None:
        """Return the slip that belongs to the table that is shown, or else to its step."""
        here = [slip for slip in slips() if slip.step == self._step + 1]
        key = {"value": "value", "scaled": "scale", "attention": "scale", "spread": "spread"}.get(self.table.key)
        return next((slip for slip in here if slip.key == key), here[0] if len(here) == 1 else None)

    def _show_slip(self) -> None:
        slip, note = self._slip_here(), self.query_one("#slip", Static)
        parts = []
        if slip is not None:
            made = slip.key in self._slips
            head = "Made on purpose" if made else "A common slip"
            parts.append(Content.assemble((f"{head}: {slip.name}. ", "bold"), slip.wrong, " ", slip.right))
        others = [other.name for other in slips() if other.key in self._slips and other is not slip]
        if others:
            parts.append(Content(f"Made on purpose in other steps: {', '.join(others)}."))
        note.update(Content("\n").join(parts))
        note.set_class(bool(self._slips), "-made")
        note.display = bool(parts)

    # -- moving ---------------------------------------------------------------------------------------------------

    @on(TableView.Moved)
    def _moved(self) -> None:
        self._explain()

    @on(TableStrip.Chosen)
    def _chosen(self, event: TableStrip.Chosen) -> None:
        self._go(self._step, event.number, (0, 0))

    @on(OptionList.OptionHighlighted)
    def _step_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_index != self._step:
            self._go(event.option_index, 0, (0, 0))

    @on(OptionList.OptionSelected)
    def _step_selected(self) -> None:
        self.view.focus()

    def _go(self, step: int, table: int, cursor: tuple[int, int]) -> None:
        self._step, self._table = step, table
        self._show(cursor)

    def action_table(self, by: int) -> None:
        """Go to the next or the previous table, and from the last of a step to the first of the next."""
        table, step = self._table + by, self._step
        if not 0 <= table < len(self._steps[step].tables):
            step += by
            if not 0 <= step < len(self._steps):
                return
            table = 0 if by > 0 else len(self._steps[step].tables) - 1
        self._go(step, table, (0, 0))

    def action_step(self, by: int) -> None:
        step = self._step + by
        if 0 <= step < len(self._steps):
            self._go(step, 0, (0, 0))

    def action_follow(self, number: int) -> None:
        """Go to the cells that the number under the cursor comes from."""
        sources = self._trace.sources
        if number >= len(sources):
            return
        source = sources[number]
        place = next(
            (s, t) for s, step in enumerate(self._steps) for t, table in enumerate(step.tables) if table is source.table
        )
        self._history.append((self._step, self._table, self.view.cursor))
        self._go(*place, (source.rows[0], source.columns[0]))

    def action_back(self) -> None:
        if self._history:
            self._go(*self._history.pop())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "back":
            return bool(self._history)
        if action == "follow" and self.is_mounted:
            number = parameters[0]
            assert isinstance(number, int)
            return number < len(self._trace.sources)
        if action == "picture":
            return all(isinstance(value, float) for line in self.table.values for value in line)
        if action == "slip":
            slip = self._slip_here()
            return slip is not None and slip.computes
        return True

    # -- another computation --------------------------------------------------------------------------------------

    def action_slip(self) -> None:
        """Make the slip of this place, or put it right."""
        slip = self._slip_here()
        if slip is not None and slip.computes:
            self._slips = self._slips ^ {slip.key}
            self._compute()

    def action_picture(self) -> None:
        """Show the table as a heat map."""
        from torchtty.tui.learn.picture import Picture

        self.app.push_screen(Picture(self.table, *texts()[self.table.key]))

    def action_edit(self) -> None:
        self.app.push_screen(ExampleDialog(self._example), self._take_example)

    def _take_example(self, example: object) -> None:
        from torchtty.engine.contract.learn.example import Example

        if isinstance(example, Example):
            self._example = example
            self._compute()

    def _compute(self) -> None:
        """Compute everything anew, and stay where we are as far as there is such a place."""
        self._steps = walk(self._example, self._slips)
        self._history.clear()
        self._table = min(self._table, len(self._steps[self._step].tables) - 1)
        self._show(self.view.cursor)
