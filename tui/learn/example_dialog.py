"""The dialog in which a person gives the walk through a transformer a sentence and sizes of their own."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.learn.example import Example, Sizes, built_in
from torchtty.tui.shell.inputs import OrderedInput

ABOUT_TEXT = "the sentence is read by the encoder; what is written is the decoder's so far."
ABOUT = {
    "d_model": "numbers a word",
    "d_k": "numbers a query",
    "n_head": "heads",
    "d_ff": "hidden units",
    "seed": "of drawn weights",
}


class ExampleDialog(ModalScreen[Example | None]):
    """Asks for what is computed; None where nothing is to change."""

    DEFAULT_CSS = """
    ExampleDialog { align: center middle; }
    ExampleDialog > Vertical { width: 66; max-width: 98%; height: auto; background: $surface; border: round $border; padding: 0 2; }
    ExampleDialog Horizontal { height: 1; }
    ExampleDialog .label { width: 12; color: $foreground 75%; }
    ExampleDialog .hint { width: auto; padding-left: 1; color: $foreground 50%; }
    ExampleDialog Input { width: 1fr; height: 1; background: $panel; &.number { width: 10; } }
    ExampleDialog #problem { color: $text-error; height: auto; min-height: 1; margin-top: 1; }
    ExampleDialog #buttons { margin-bottom: 1; }
    ExampleDialog #buttons Button { margin-right: 2; min-width: 8; width: auto; padding: 0 1; background: $panel; }
    ExampleDialog #buttons Button:focus { background: $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "close", key_display="esc"),
        Binding("up", "app.focus_previous", "previous", show=False),
        Binding("down", "app.focus_next", "next", show=False),
    ]

    def __init__(self, example: Example) -> None:
        super().__init__()
        self._example = example

    def compose(self) -> ComposeResult:
        example = self._example
        with Vertical():
            yield Static(Content.assemble(("What is computed: ", "bold"), ABOUT_TEXT))
            yield from self._line("sentence", " ".join(example.sentence), "", wide=True)
            yield from self._line("written", " ".join(example.written), "", wide=True)
            for name in Sizes.LIMITS:
                low, high = Sizes.LIMITS[name]
                yield from self._line(name, str(getattr(example.sizes, name)), f"{ABOUT[name]}, {low} to {high}")
            yield from self._line("seed", str(example.seed), ABOUT["seed"])
            yield Static(id="problem", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Compute", "primary", id="compute", compact=True)
                yield Button("Built-in example", id="built-in", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def _line(self, name: str, value: str, hint: str, *, wide: bool = False) -> ComposeResult:
        with Horizontal():
            yield Static(name, classes="label")
            yield OrderedInput(value, id=name, compact=True, classes="" if wide else "number")
            if hint:
                yield Static(hint, classes="hint")

    def on_mount(self) -> None:
        self.query_one("#sentence", Input).focus()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self._compute()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        match event.button.id:
            case "compute":
                self._compute()
            case "built-in":
                self.dismiss(built_in())
            case _:
                self.dismiss(None)

    def _compute(self) -> None:
        try:
            sizes = Sizes(**{name: self._number(name) for name in Sizes.LIMITS})
            sentence, written = self.query_one("#sentence", Input).value, self.query_one("#written", Input).value
            example = built_in().with_text(sentence, written, sizes, self._number("seed"))
        except UserError as error:
            self.query_one("#problem", Static).update(Content(str(error)))
        else:
            self.dismiss(example)

    def _number(self, name: str) -> int:
        text = self.query_one(f"#{name}", Input).value.strip()
        try:
            return int(text)
        except ValueError:
            raise UserError(f"{name} must be a whole number.") from None
