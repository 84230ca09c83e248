"""Building the optimizer that a configuration asks for."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.optimizer import SGD, Adagrad, Adam, AdamW, Muon, Optimizer, RMSprop
from torchtty.engine.training.fused import Fused, fused


class ChainedOptimizer:
    """Several optimizers that each look after their own parameters, and step as one."""

    def __init__(self, optimizers: list[torch.optim.Optimizer | Fused]) -> None:
        self.optimizers = optimizers

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def step(self) -> None:
        for optimizer in self.optimizers:
            optimizer.step()

    def zero_grad(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        return {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for optimizer, own in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(own)


Optimizers = torch.optim.Optimizer | Fused | ChainedOptimizer


def build_optimizer(section: Optimizer, model: nn.Module, device: torch.device) -> Optimizers:
    """Build the optimizer of an `optimizer` section; raise `UserError` if this torch does not have it.

    Weight decay pulls at matrices and embeddings only, never at biases and norms (Loshchilov & Hutter, 2019, as in GPT-2).
    """
    if isinstance(section, Muon):
        return _muon(section, model, device)
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return _of_one_kind(section, _groups(learned, section.weight_decay), device)


def _groups(learned: list[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = [
        {"params": [p for p in learned if p.dim() >= 2], "weight_decay": weight_decay, "decayed": True},
        {"params": [p for p in learned if p.dim() < 2], "weight_decay": 0.0, "decayed": False},
    ]
    return [group for group in groups if group["params"]]


def _of_one_kind(
    section: Optimizer, groups: list[dict[str, Any]], device: torch.device
) -> torch.optim.Optimizer | Fused:
    optimizer = _torchs(section, groups, device)
    return fused(optimizer) if device.type == "cpu" else optimizer


def _torchs(section: Optimizer, groups: list[dict[str, Any]], device: torch.device) -> torch.optim.Optimizer:
    kernel, rate = device.type in ("cpu", "cuda"), section.learning_rate
    match section:
        case AdamW() | Muon():
            return torch.optim.AdamW(groups, lr=rate, betas=(section.beta1, section.beta2), fused=kernel)
        case Adam():
            return torch.optim.Adam(groups, lr=rate, betas=(section.beta1, section.beta2), fused=kernel)
        case Adagrad():
            return torch.optim.Adagrad(groups, lr=rate, fused=_has_fused_adagrad(groups[0]["params"][0].device))
        case RMSprop():  # has no fused form; on a GPU torch steps all its weights at once by itself
            return torch.optim.RMSprop(groups, lr=rate, alpha=section.alpha, momentum=section.momentum)
        case SGD():
            return torch.optim.SGD(groups, lr=rate, momentum=section.momentum, fused=kernel)


@cache
def _has_fused_adagrad(device: torch.device) -> bool:
    """Whether this torch has it for a device: torch 2.11 has the kernel for CUDA, and refuses it at the first step."""
    weight = nn.Parameter(torch.zeros(1, device=device))
    weight.grad = torch.zeros_like(weight)
    try:
        torch.optim.Adagrad([weight], fused=True).step()
    except RuntimeError:
        return False
    return True


def _muon(section: Muon, model: nn.Module, device: torch.device) -> Optimizers:
    """Muon for the matrices between hidden layers, AdamW for embeddings, the output layer, biases and norms.

    Muon's steps are scaled to the size of AdamW's (Liu et al., 2025), so that one learning rate serves both.
    """
    if not hasattr(torch.optim, "Muon"):
        raise UserError(f"optimizer.kind muon needs torch 2.9 or later; this is {torch.__version__}. Take adamw.")
    apart = {id(p) for name, module in model.named_modules() if _is_an_end(name, module) for p in module.parameters()}
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    hidden = [p for p in learned if p.dim() == 2 and id(p) not in apart]
    others = [p for p in learned if p.dim() != 2 or id(p) in apart]
    rest = _of_one_kind(section, _groups(others, section.weight_decay), device) if others else None
    if not hidden:
        assert rest is not None, "a model that learns has parameters"
        return rest
    muon = torch.optim.Muon(
        [{"params": hidden, "weight_decay": section.weight_decay, "decayed": True}],
        lr=section.learning_rate,
        momentum=section.momentum,
        adjust_lr_fn="match_rms_adamw",
    )
    return ChainedOptimizer([muon, rest]) if rest is not None else muon


def _is_an_end(name: str, module: nn.Module) -> bool:
    """Whether a layer stands where tokens come in or go out."""
    return isinstance(module, nn.Embedding) or name.rpartition(".")[2] == "head"


def remembered_tensors(optimizer: Optimizers) -> list[Tensor]:
    """Return the tensors that an optimizer remembers of its weights; none before its first step."""
    if isinstance(optimizer, ChainedOptimizer):
        return [tensor for each in optimizer.optimizers for tensor in remembered_tensors(each)]
    states = optimizer.state_dict()["state"].values()
    return [value for state in states for value in state.values() if isinstance(value, Tensor)]


def bring_step_counts(optimizer: Optimizers, device: torch.device) -> None:
    """Have an optimizer count its steps on a device, if it can do so: otherwise the host would have to."""
    if isinstance(optimizer, ChainedOptimizer):
        for each in optimizer.optimizers:
            bring_step_counts(each, device)
    elif isinstance(optimizer, torch.optim.Optimizer) and "capturable" in optimizer.defaults:
        for state in optimizer.state.values():
            if "step" in state:
                state["step"] = state["step"].to(device)


def set_rates(optimizer: Optimizers, learning_rate: float | Tensor, weight_decay: float | Tensor) -> None:
    """Set what may change from step to step."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
        if group["decayed"]:
            group["weight_decay"] = weight_decay


def clip_gradients(learned: list[nn.Parameter], kind: str, limit: float | Tensor) -> Tensor:
    """Clip gradients by their norm over all weights or by value, number by number; return their norm before."""
    if kind == "norm":
        return torch.nn.utils.clip_grad_norm_(learned, float(limit))
    norm = gradient_norm(learned)
    torch.nn.utils.clip_grad_value_(learned, float(limit))
    return norm


def gradient_norm(learned: list[nn.Parameter]) -> Tensor:
    """Return the norm of the gradient over all weights."""
    return torch.nn.utils.get_total_norm([p.grad for p in learned if p.grad is not None])
