"""The prompt and the small fields beside it, which become a request for a sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import DescendantBlur
from textual.message import Message
from textual.widgets import Input, Label, Static

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.requests import Sample
from torchtty.engine.contract.settings import configuration as configurations
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.fields import FieldSpec, show
from torchtty.tui.run.sample_layout import UNLIMITED
from torchtty.tui.shell.inputs import UncutInput


@dataclass(frozen=True)
class SamplingField:
    """A small field: its name in the request, its label, its width in cells, and what stands in it when left alone."""

    name: str
    label: str
    width: int
    empty: str
    help: str


FIELDS = (
    SamplingField(
        "temperature", "T", 4, "", "Temperature: below 1 likelier text, above 1 bolder; 0 takes the likeliest"
    ),
    SamplingField("top_k", "top-k", 4, "off", "Draw from the k likeliest tokens only"),
    SamplingField("top_p", "top-p", 4, "off", "Draw from the likeliest tokens that sum to this probability"),
    SamplingField("count", "n", 5, "auto", "How many samples; auto draws ten names, or one running text"),
    SamplingField("max_tokens", "tokens", 5, "", "Length of the longest sample, in tokens"),
    SamplingField("seed", "seed", 5, "any", "A number draws the same sample again; any draws a new one each time"),
)
_SEED = FieldSpec("seed", int, None, "", optional=True, minimum=0, maximum=2**63 - 1)


class PromptBar(Vertical):
    """Takes a prompt; enter submits it, and a field that is wrong is marked with what it takes."""

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
        """A sample is requested."""

        request: Sample

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
                placeholder="Type a prompt, press Enter to sample",
                tooltip="The model continues this text; an empty prompt starts from nothing",
                max_length=10_000,
            )
        with Horizontal(id="field-row"):
            for field in FIELDS:
                yield Label(field.label)
                id = f"sampling-{field.name}"
                small = UncutInput(field.empty, id=id, compact=True, tooltip=field.help, max_length=20)
                small.styles.width = field.width
                yield small
        yield Static(id="prompt-problem")

    def configure(self, configuration: Configuration | None) -> None:
        """Fill the fields with a run's own settings; those that a person changed stay as they are."""
        before, self._configuration = self._configuration, configuration
        if configuration is None or configuration is before:
            return
        texts = starting_texts(configuration.tree())
        for field in FIELDS:
            box = self._box(field.name)
            if box.value in (self._own[field.name], field.empty):
                box.value = texts[field.name]
        self._own = texts

    def focus_prompt(self) -> None:
        """Focus the prompt at once: what is typed next belongs there."""
        self.screen.set_focus(self.query_one("#prompt", Input))

    def _box(self, name: str) -> Input:
        return self.query_one(f"#sampling-{name}", Input)

    def _check(self) -> tuple[dict[str, Any], dict[str, str]]:
        if self._configuration is None:
            return {}, {}
        texts = {field.name: self._box(field.name).value for field in FIELDS}
        values, problems = parse(self._configuration, texts)
        for field in FIELDS:
            self._box(field.name).set_class(field.name in problems, "-invalid")
        self.set_class(bool(problems), "-problem")
        self.query_one("#prompt-problem", Static).update(Content("; ".join(problems.values())))
        return values, problems

    @on(Input.Changed)
    def _recheck(self, event: Input.Changed) -> None:
        event.stop()
        if self.has_class("-problem"):
            self._check()

    def on_descendant_blur(self, event: DescendantBlur) -> None:
        """Check the fields when one is left."""
        if event.widget.id != "prompt":
            self._check()

    @on(Input.Submitted)
    def _submit(self, event: Input.Submitted) -> None:
        event.stop()
        values, problems = self._check()
        if problems:
            self._box(next(iter(problems))).focus()
            return
        self.post_message(self.Submitted(Sample(prompt=self.query_one("#prompt", Input).value, **values)))


def starting_texts(tree: Mapping[str, Any]) -> dict[str, str]:
    """Return what the fields hold at first: the run's own sampling settings."""
    section = tree.get("sampling", {})
    values = {field.name: section.get(field.name) for field in FIELDS}
    return {field.name: field.empty if (value := values[field.name]) is None else show(value) for field in FIELDS}


def parse(configuration: Configuration, texts: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values of the fields for a request, and for every wrong field what it takes."""
    specs = {spec.path: spec for spec in configurations.specs(configuration.kind, configuration.tree())}
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for field in FIELDS:
        spec = _SEED if field.name == "seed" else specs.get(f"sampling.{field.name}")
        if spec is None:
            continue
        text = texts[field.name].strip()
        if text.lower() in ("", field.empty) and (field.empty or spec.optional):
            values[field.name] = UNLIMITED.get(field.name)  # lifts a limit that the run itself has
            continue
        try:
            value = spec.parse(text)
        except UserError:
            problems[field.name] = f"{field.label} takes {spec.allowed().removesuffix(', or none')}" + (
                f", or {field.empty}" if field.empty else ""
            )
        else:
            values[field.name] = UNLIMITED.get(field.name) if value is None else value
    return values, problems
