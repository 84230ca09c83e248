"""From a family's declaration to its model, imported when first wanted, so that a small model stays quick to start."""

from importlib import import_module
from typing import Any

from torch import nn

from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.family import ModelSection


def resolve(place: str) -> Any:
    """Return what stands at a place such as `torchtty.engine.models.gpt:GPT`."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def build_model(config: ModelSection, *arguments: Any) -> nn.Module:
    """Build the model that a `model` section describes, with its first weights drawn from torch's global generator.

    `arguments` are what the family's task knows beside the section: the size of the vocabulary of a model of language.
    """
    return resolve(family_of(config.kind).model)(config, *arguments)


def parameter_count(model: nn.Module) -> int:
    """Count the numbers that training changes; for a model without such, those it stores."""
    learned = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return learned or sum(len(buffer) for name, buffer in model.named_buffers() if name == "counts")
