"""The fields beside the prompt: what each takes, and how they become a Sample command."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings import configuration as configurations
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.fields import FieldSpec, show


@dataclass(frozen=True)
class SamplingField:
    """One small field: its name in the Sample command, its label, its width in cells, and what it says when left alone."""

    name: str
    label: str
    width: int
    empty: str
    help: str


FIELDS = (
    SamplingField("temperature", "T", 4, "", "Below 1 keeps to the likely, above 1 dares; 0 takes the likeliest"),
    SamplingField("top_k", "top-k", 4, "off", "Draw from the k likeliest tokens only"),
    SamplingField("top_p", "top-p", 4, "off", "Draw from the likeliest tokens that sum to this probability"),
    SamplingField("count", "n", 5, "auto", "How many samples; auto draws ten names, or one running text"),
    SamplingField("max_tokens", "tokens", 5, "", "Longest sample"),
    SamplingField("seed", "seed", 5, "any", "A number draws the same sample again; any draws a new one each time"),
)

_SEED = FieldSpec("seed", int, None, "", optional=True, minimum=0, maximum=2**63 - 1)
_LIFTED = {"top_k": 0, "top_p": 1.0}  # what lifts a limit that the run itself has


def starting_texts(tree: Mapping[str, Any]) -> dict[str, str]:
    """Return what the fields hold at first: the run's own sampling settings."""
    section = tree.get("sampling", {})
    texts = {}
    for field in FIELDS:
        value = section.get(field.name)
        texts[field.name] = field.empty if value is None else show(value)
    return texts


def parse(configuration: Configuration, texts: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values of the fields for a Sample command, and for every wrong field what it takes."""
    specs = {spec.path: spec for spec in configurations.specs(configuration.kind, configuration.tree())}
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for field in FIELDS:
        spec = _SEED if field.name == "seed" else specs.get(f"sampling.{field.name}")
        if spec is None:
            continue
        text = texts[field.name].strip()
        if text.lower() in ("", field.empty) and (field.empty or spec.optional):
            values[field.name] = _LIFTED.get(field.name)
            continue
        try:
            value = spec.parse(text)
        except UserError:
            problems[field.name] = f"{field.label} takes {spec.allowed().removesuffix(', or none')}" + (
                f", or {field.empty}" if field.empty else ""
            )
        else:
            values[field.name] = _LIFTED.get(field.name) if value is None else value
    return values, problems
