"""Building the optimizer that a configuration asks for."""

from typing import Any

import torch
from torch import nn


def build_optimizer(section: Any, model: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    """Build the optimizer of an `optimizer` section.

    Weight decay pulls at matrices and embeddings only, never at biases and norms (Loshchilov & Hutter, 2019, as in GPT-2).
    """
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in learned if p.dim() >= 2], "weight_decay": section.weight_decay, "decayed": True},
        {"params": [p for p in learned if p.dim() < 2], "weight_decay": 0.0, "decayed": False},
    ]
    groups = [group for group in groups if group["params"]]
    fused = device.type in ("cpu", "cuda")
    if section.kind == "adamw":
        betas = (section.beta1, section.beta2)
        return torch.optim.AdamW(groups, lr=section.learning_rate, betas=betas, fused=fused)
    assert section.kind == "sgd", section.kind
    return torch.optim.SGD(groups, lr=section.learning_rate, momentum=section.momentum, fused=fused)


def set_rates(optimizer: torch.optim.Optimizer, learning_rate: float, weight_decay: float) -> None:
    """Set what may change from step to step."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
        if group["decayed"]:
            group["weight_decay"] = weight_decay
