"""The prompt and the small fields beside it."""

from dataclasses import dataclass
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import DescendantBlur
from textual.message import Message
from textual.widgets import Input, Label, Static

from torchtty.engine.contract.settings.family import Configuration
from torchtty.tui.run import sampling_fields
from torchtty.tui.run.sampling_fields import FIELDS
from torchtty.tui.shell.inputs import UncutInput


class PromptBar(Vertical):
    """Asks for a prompt; enter sends it, and a field that is wrong is marked with what it takes."""

    DEFAULT_CSS = """
    PromptBar { height: auto; }
    PromptBar #prompt-row, PromptBar #field-row { height: 1; }
    PromptBar Label { color: $foreground 65%; width: auto; }
    PromptBar Input { background: $surface; }
    PromptBar Input:focus { background: $surface; background-tint: $foreground 10%; }
    PromptBar #prompt-label { color: $text-accent; text-style: bold; padding-right: 1; }
    PromptBar #prompt { width: 1fr; }
    PromptBar #field-row Label { padding-right: 1; }
    PromptBar #field-row Input { margin-right: 2; }
    PromptBar #prompt-problem { height: auto; max-height: 2; color: $text-error; display: none; }
    PromptBar.-problem #prompt-problem { display: block; }
    """

    @dataclass
    class Submitted(Message):
        """A prompt was sent with valid settings."""

        prompt: str
        values: dict[str, Any]

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._configuration: Configuration | None = None
        self._own = {field.name: field.empty for field in FIELDS}

    def compose(self) -> ComposeResult:
        with Horizontal(id="prompt-row"):
            yield Label("prompt", id="prompt-label")
            yield UncutInput(
                id="prompt",
                compact=True,
                placeholder="what the model goes on from; enter draws a sample",
                tooltip="Enter draws a sample that goes on from this; empty starts from nothing",
                max_length=10_000,
            )
        with Horizontal(id="field-row"):
            for field in FIELDS:
                yield Label(field.label)
                small = UncutInput(
                    field.empty, id=f"sampling-{field.name}", compact=True, tooltip=field.help, max_length=20
                )
                small.styles.width = field.width
                yield small
        yield Static(id="prompt-problem")

    @property
    def text(self) -> str:
        """The prompt as it stands."""
        return self.query_one("#prompt", Input).value

    def configure(self, configuration: Configuration | None) -> None:
        """Fill the fields with a run's own settings; those that a person changed stay as they are."""
        self._configuration = configuration
        if configuration is None:
            return
        texts = sampling_fields.starting_texts(configuration.tree())
        for field in FIELDS:
            box = self._box(field.name)
            if box.value in (self._own[field.name], field.empty):
                box.value = texts[field.name]
        self._own = texts

    def focus_prompt(self) -> None:
        """Go to the prompt, at once: what is typed next belongs there."""
        self.screen.set_focus(self.query_one("#prompt", Input))

    def _box(self, name: str) -> Input:
        return self.query_one(f"#sampling-{name}", Input)

    def _check(self) -> tuple[dict[str, Any], dict[str, str]]:
        if self._configuration is None:
            return {}, {}
        texts = {field.name: self._box(field.name).value for field in FIELDS}
        values, problems = sampling_fields.parse(self._configuration, texts)
        for field in FIELDS:
            self._box(field.name).set_class(field.name in problems, "-invalid")
        self.set_class(bool(problems), "-problem")
        self.query_one("#prompt-problem", Static).update(Content("; ".join(problems.values())))
        return values, problems

    @on(Input.Changed)
    def _repaired(self, event: Input.Changed) -> None:
        event.stop()
        if self.has_class("-problem"):
            self._check()

    def on_descendant_blur(self, event: DescendantBlur) -> None:
        """Look at the fields when one is left."""
        if event.widget.id != "prompt":
            self._check()

    @on(Input.Submitted)
    def _send(self, event: Input.Submitted) -> None:
        event.stop()
        values, problems = self._check()
        if problems:
            self._box(next(iter(problems))).focus()
            return
        self.post_message(self.Submitted(self.text, values))
