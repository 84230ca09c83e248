"""The page that explores losses: numbers and targets to edit, and value, gradient and curve as they change."""

import math
from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.learn.losses import (
    FLOAT32_OVERFLOW,
    Loss,
    Outcome,
    Rows,
    curve,
    domain,
    evaluate,
    exponentials,
    losses,
    read_rows,
)
from torchtty.tui.charts.axes import Axis, nice_step
from torchtty.tui.charts.plane import Dot, Plane, PlaneCurve, PlaneView
from torchtty.tui.charts.style import PALETTE
from torchtty.tui.learn.numbers_input import NumbersInput

HIGHEST = 12.0  # of a curve: above that it is only steep
LOSS, SLOPE = PALETTE[0], PALETTE[1]


class LossesPage(Vertical):
    """Six losses, each with numbers of its own."""

    BINDING_GROUP_TITLE = "Losses"
    SCOPED_CSS = False
    DEFAULT_CSS = """
    LossesPage { height: 1fr; }
    LossesPage > Horizontal { height: 1fr; }
    LossesPage #loss-list {
        width: 20; height: 1fr; border: none; border-right: vkey $foreground 15%; padding: 0 1; background: $background;
    }
    LossesPage #loss { width: 1fr; height: 1fr; padding: 0 1; }
    LossesPage #loss-about { height: auto; margin-bottom: 1; }
    LossesPage .numbers { height: 1; }
    LossesPage .numbers Static { width: 18; color: $foreground 75%; }
    LossesPage .numbers Input { width: 1fr; max-width: 48; height: 1; background: $surface; &:focus { background: $panel; } }
    LossesPage #loss-result { height: auto; margin-top: 1; }
    LossesPage #loss-note { height: auto; color: $text-warning; }
    LossesPage PlaneView { margin-top: 1; }
    LearnScreen.-low LossesPage #loss-about { margin-bottom: 0; }
    LearnScreen.-low LossesPage #loss-result, LearnScreen.-low LossesPage PlaneView { margin-top: 0; }
    LearnScreen.-narrow LossesPage #loss-list { width: 18; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "edit", "numbers", id="losses.edit", tooltip="Edit the numbers"),
        Binding("t", "trial", "try", id="losses.trial", tooltip="Try the next numbers that show something"),
        Binding("escape", "leave", "losses", id="losses.leave", tooltip="Back to the list of losses"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._losses = losses()
        self._trials = [0] * len(self._losses)
        self._numbers = [(loss.trials[0].prediction, loss.trials[0].target) for loss in self._losses]
        self._place = (0, 0)  # of the number whose curve is drawn

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield OptionList(
                *(Option(loss.title, id=loss.key) for loss in self._losses), id="loss-list", classes="first"
            )
            with Vertical(id="loss"):
                yield Static(id="loss-about")
                for name in ("prediction", "target"):
                    with Horizontal(classes="numbers"):
                        yield Static(id=f"{name}-name")
                        yield NumbersInput(id=f"{name}-numbers", compact=True, select_on_focus=False)
                yield Static(id="loss-result")
                yield Static(id="loss-note")
                yield PlaneView()

    def on_mount(self) -> None:
        self.watch(self._input("prediction"), "selection", self._follow_cursor, init=False)
        self.query_one("#loss-list", OptionList).highlighted = 0

    @property
    def _index(self) -> int:
        return self.query_one("#loss-list", OptionList).highlighted or 0

    @property
    def loss(self) -> Loss:
        """The loss that is shown."""
        return self._losses[self._index]

    def _input(self, name: str) -> NumbersInput:
        return self.query_one(f"#{name}-numbers", NumbersInput)

    # -- choosing -------------------------------------------------------------------------------------------------

    @on(OptionList.OptionHighlighted)
    def _chosen(self) -> None:
        self._fill()

    @on(OptionList.OptionSelected)
    def action_edit(self) -> None:
        self._input("prediction").focus()

    @on(Input.Submitted)
    def action_leave(self) -> None:
        self.query_one("#loss-list").focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        editing = isinstance(self.screen.focused, Input)
        return editing if action == "leave" else not editing

    def action_trial(self) -> None:
        """Fill in the next numbers that show something."""
        index = self._index
        self._trials[index] = (self._trials[index] + 1) % len(self.loss.trials)
        trial = self.loss.trials[self._trials[index]]
        self._numbers[index] = (trial.prediction, trial.target)
        self._fill()

    def _fill(self) -> None:
        """Show the numbers of the chosen loss."""
        loss = self.loss
        for name, text, called in zip(
            ("prediction", "target"), self._numbers[self._index], (loss.prediction, loss.target), strict=True
        ):
            box = self._input(name)
            with self.prevent(Input.Changed):
                box.value = text
            box.cursor_position = 0
            box.set_class(name == "target" and loss.takes_classes, "whole")
            self.query_one(f"#{name}-name", Static).update(Content(called))
        self._place = (0, 0)
        about = Content.assemble((loss.title, "bold"), ("  " + loss.formula, "$text-accent"), "  " + loss.about)
        for_it = Content.assemble(("+ ", "$text-success"), loss.good)
        against = Content.assemble(("− ", "$text-warning"), loss.bad)
        self.query_one("#loss-about", Static).update(Content("\n").join([about, for_it, against]))
        self._compute()

    # -- computing ------------------------------------------------------------------------------------------------

    @on(Input.Changed)
    def _edited(self) -> None:
        self._numbers[self._index] = (self._input("prediction").value, self._input("target").value)
        self._compute()

    def _follow_cursor(self) -> None:
        """Draw the curve of another number where the cursor has moved to one."""
        if self._input("prediction").place() != self._place:
            self._compute()

    def _compute(self) -> None:
        loss, note = self.loss, self.query_one("#loss-note", Static)
        result, plane = self.query_one("#loss-result", Static), self.query_one(PlaneView)
        trial = loss.trials[self._trials[self._index]]
        is_trial = (trial.prediction, trial.target) == self._numbers[self._index]
        shown = [Content.assemble((f"{trial.name}: ", "bold"), trial.shows)] if is_trial else []
        try:
            prediction, target = (read_rows(text) for text in self._numbers[self._index])
            outcome = evaluate(loss.key, prediction, target)
        except UserError as error:
            result.update(Content("\n").join([Content.styled("no loss", "bold $text-error"), *shown]))
            note.update(Content(str(error)))
            plane.show(None)
        else:
            row, column = self._input("prediction").place()
            self._place = min(row, len(prediction) - 1), min(column, len(prediction[0]) - 1)
            parts = [*shown, _table(prediction, outcome, self._place)]
            if loss.key == "cross-entropy" and max(map(max, prediction)) > FLOAT32_OVERFLOW:
                parts.append(_overflow(prediction))
            result.update(Content("\n").join(parts))
            note.update(Content("\n").join(map(Content, outcome.warnings)))
            plane.show(_plane(loss, prediction, target, outcome, self._place))
        note.display = bool(str(note.content))


def _written(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    text = f"{value:.1e}" if size >= 1e5 or 0 < size < 5e-5 else f"{value:.4f}"
    return text.replace("-", "−")


def _table(prediction: Rows, outcome: Outcome, place: tuple[int, int]) -> Content:
    """Write the value, and a gradient for each prediction; that of the curve is marked."""
    texts = [[_written(value) for value in row] for row in outcome.gradient]
    width = max(cell_len(text) for row in texts for text in row)
    lines = [Content.assemble("loss      ", (_written(outcome.value), "bold $text-accent"))]
    for i, row in enumerate(texts):
        parts = [Content("gradient  " if i == 0 else " " * 10)]
        for j, text in enumerate(row):
            marked = (i, j) == place
            parts += [Content.styled(text.rjust(width), "bold $text-accent" if marked else ""), Content("  ")]
        lines.append(Content("").join(parts))
    assert len(prediction) == len(texts)
    return Content("\n").join(lines)


def _overflow(prediction: Rows) -> Content:
    """Write a softmax near 100 as float32 computes it, plainly and shifted."""
    row = next(row for row in prediction if max(row) > FLOAT32_OVERFLOW)
    found = exponentials(row)
    lines = (
        ("z", found.logits),
        ("e^z", found.naive),
        ("share", found.naive_shares),
        ("e^(z−max)", found.shifted),
        ("share", found.shares),
    )
    texts = [(name, [_written(value) for value in values]) for name, values in lines]
    width = max(cell_len(text) for _, values in texts for text in values)
    bad = ("∞", "NaN")
    return Content("\n").join(
        Content.assemble(
            (f"{name:<10}", "$foreground 65%"),
            *((text.rjust(width) + "  ", "bold $text-error" if text in bad else "") for text in values),
        )
        for name, values in texts
    )


def _plane(loss: Loss, prediction: Rows, target: Rows, outcome: Outcome, place: tuple[int, int]) -> Plane:
    """Draw the loss over one prediction, where it stands now, and its slope there."""
    points = curve(loss.key, prediction, target, place)
    low, high = domain(loss.key, prediction, target, place)
    x, slope = prediction[place[0]][place[1]], outcome.gradient[place[0]][place[1]]
    values = sorted(value for _, value in points)
    bottom = min(values[0], 0.0)
    top = min(values[-1], bottom + HIGHEST) if outcome.value < bottom + HIGHEST else values[-1]
    top = top if top > bottom else bottom + 1.0
    step = nice_step(top - bottom, 5)
    y = Axis(math.floor(bottom / step) * step, math.ceil(top / step) * step)
    reach = (high - low) / 6
    tangent = [(x + reach * t / 10, outcome.value + slope * reach * t / 10) for t in range(-10, 11)]
    name = f"{loss.prediction} {place[0] + 1}.{place[1] + 1}"
    return Plane(
        Axis(low, high),
        y,
        (PlaneCurve(tuple(points), LOSS), PlaneCurve(tuple(tangent), SLOPE, marker=1)),
        (Dot((x, outcome.value), "●", LOSS),),
        x_title=name,
        y_title=f"loss {_written(outcome.value)}, slope {_written(slope)}",
    )
