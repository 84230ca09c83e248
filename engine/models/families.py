"""Which class builds which family. Modules are imported when first wanted, so that a small model stays quick to start."""

from importlib import import_module
from typing import Any

from torch import nn

_CLASSES = {
    "ngram": ("torchtty.engine.models.ngram", "NGram"),
    "mlp": ("torchtty.engine.models.mlp", "MLP"),
    "bigram": ("torchtty.engine.models.bigram", "Bigram"),
    "wavenet": ("torchtty.engine.models.wavenet", "WaveNet"),
    "rnn": ("torchtty.engine.models.rnn", "RNN"),
    "transformer": ("torchtty.engine.models.transformer", "Transformer"),
    "gpt": ("torchtty.engine.models.gpt", "GPT"),
    "gpt2": ("torchtty.engine.models.gpt2_weights", "pretrained"),
}


def build_model(config: Any, vocab_size: int) -> nn.Module:
    """Build the model that a `model` section describes, with its first weights drawn from torch's global generator."""
    module, name = _CLASSES[config.kind]
    model: nn.Module = getattr(import_module(module), name)(config, vocab_size)
    return model


def parameter_count(model: nn.Module) -> int:
    """Count the numbers that training changes; for a model without such, those it stores."""
    learned = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return learned or sum(len(buffer) for name, buffer in model.named_buffers() if name == "counts")
