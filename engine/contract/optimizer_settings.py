"""Settings of the optimizers and of the schedules of their learning rate."""

from typing import Annotated, Literal

from pydantic import Field

from engine.contract.fields import Section, Stepping, setting


def _learning_rate(default: float) -> float:
    rate: float = setting(
        default, "Size of a step along the gradient.", gt=0, le=100, stepping=Stepping.DECADES, live=True
    )
    return rate


def _weight_decay(default: float) -> float:
    decay: float = setting(
        default, "Pull of the weights towards zero.", ge=0, le=100, stepping=Stepping.DECADES, live=True
    )
    return decay


class AdamW(Section):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019)."""

    kind: Literal["adamw"] = "adamw"
    learning_rate: float = _learning_rate(1e-3)
    weight_decay: float = _weight_decay(0.1)
    beta1: float = setting(0.9, "Memory of the mean gradient.", ge=0, lt=1, step=0.05)
    beta2: float = setting(0.99, "Memory of the squared gradient.", ge=0, lt=1, step=0.005)


class SGD(Section):
    """Stochastic gradient descent, with momentum if wanted."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: float = _learning_rate(0.1)
    weight_decay: float = _weight_decay(0.0)
    momentum: float = setting(0.0, "Share of the last step carried into the next.", ge=0, lt=1, step=0.1)


Optimizer = Annotated[AdamW | SGD, Field(discriminator="kind")]


class ConstantSchedule(Section):
    """The learning rate stays as it is."""

    kind: Literal["constant"] = "constant"


class StepSchedule(Section):
    """The learning rate is multiplied by a factor once, part of the way through."""

    kind: Literal["step"] = "step"
    at: float = setting(0.5, "Where the rate drops, as a share of max_steps.", gt=0, le=1, step=0.05)
    factor: float = setting(0.1, "What the rate is multiplied by.", gt=0, le=1, stepping=Stepping.DECADES)


class CosineSchedule(Section):
    """The rate rises linearly, then falls along half a cosine (Loshchilov & Hutter, 2017)."""

    kind: Literal["cosine"] = "cosine"
    warmup_steps: int = setting(100, "Steps over which the rate rises from zero.", ge=0, step=50, unit="steps")
    final: float = setting(0.1, "The rate at the end, as a share of learning_rate.", ge=0, le=1, step=0.05)


Schedule = Annotated[ConstantSchedule | StepSchedule | CosineSchedule, Field(discriminator="kind")]
