"""Settings of the optimizers and of the schedules of their learning rate."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from torchtty.engine.contract.settings.fields import Section, Stepping, setting


def _learning_rate(default: float) -> Any:
    return setting(
        default,
        "Size of a step along the gradient.",
        gt=0,
        le=100,
        stepping=Stepping.DECADES,
        live=True,
        groups=True,
        essential=True,
    )


def _weight_decay(default: float) -> Any:
    return setting(
        default, "Pull of the weights towards zero.", ge=0, le=100, stepping=Stepping.DECADES, live=True, groups=True
    )


def _beta1(default: float = 0.9) -> Any:
    return setting(default, "Memory of the mean gradient.", ge=0, lt=1, step=0.05, groups=True)


def _beta2(default: float = 0.999) -> Any:
    return setting(default, "Memory of the squared gradient.", ge=0, lt=1, step=0.005, groups=True)


class OptimizerBase(Section):
    """What every optimizer has."""

    folds: ClassVar[bool] = False
    kind: str
    learning_rate: float = _learning_rate(1e-3)
    weight_decay: float = _weight_decay(0.0)

    @property
    def numbers_per_weight(self) -> int:
        """How many numbers the optimizer remembers of each weight, at most."""
        return 2  # the running means of the gradient and its square


class AdamW(OptimizerBase):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019)."""

    kind: Literal["adamw"] = "adamw"
    weight_decay: float = _weight_decay(0.1)
    beta1: float = _beta1()
    beta2: float = _beta2(0.99)


class Adam(OptimizerBase):
    """Steps of about equal size whatever the gradient's (Kingma & Ba, 2015); weight decay is added to the gradient."""

    kind: Literal["adam"] = "adam"
    beta1: float = _beta1()
    beta2: float = _beta2()


class SGD(OptimizerBase):
    """Stochastic gradient descent, with momentum if wanted."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: float = _learning_rate(0.1)
    momentum: float = setting(0.0, "Share of the last step carried into the next.", ge=0, lt=1, step=0.1, groups=True)

    @property
    def numbers_per_weight(self) -> int:
        return 1 if self.momentum else 0


class Adagrad(OptimizerBase):
    """Steps that shrink for each weight as its squared gradients add up (Duchi et al., 2011)."""

    kind: Literal["adagrad"] = "adagrad"
    learning_rate: float = _learning_rate(1e-2)

    @property
    def numbers_per_weight(self) -> int:
        return 1  # the sum of squared gradients


class RMSprop(OptimizerBase):
    """Steps divided by a running mean of the gradient's size (Tieleman & Hinton, 2012)."""

    kind: Literal["rmsprop"] = "rmsprop"
    alpha: float = setting(0.99, "Memory of the squared gradient.", ge=0, lt=1, step=0.005, groups=True)
    momentum: float = setting(0.0, "Share of the last step carried into the next.", ge=0, lt=1, step=0.1, groups=True)

    @property
    def numbers_per_weight(self) -> int:
        return 2 if self.momentum else 1


class Muon(OptimizerBase):
    """Momentum made orthogonal for the matrices of hidden layers (Jordan et al., 2024); AdamW for all other weights."""

    kind: Literal["muon"] = "muon"
    weight_decay: float = _weight_decay(0.1)
    momentum: float = setting(0.95, "Muon: memory of the gradient.", ge=0, lt=1, step=0.05, groups=True)
    beta1: float = setting(0.9, "AdamW: memory of the mean gradient.", ge=0, lt=1, step=0.05, groups=True)
    beta2: float = setting(0.99, "AdamW: memory of the squared gradient.", ge=0, lt=1, step=0.005, groups=True)


Optimizer = Annotated[AdamW | Adam | SGD | Adagrad | RMSprop | Muon, Field(discriminator="kind")]


def _warmup_steps(default: int) -> Any:
    return setting(default, "Steps over which the rate rises from zero.", ge=0, step=50, unit="steps", groups=True)


def _final(default: float) -> Any:
    return setting(default, "The rate at the end, as a share of learning_rate.", ge=0, le=1, step=0.05, groups=True)


class ScheduleBase(Section):
    """What every schedule has."""

    folds: ClassVar[bool] = False


class ConstantSchedule(ScheduleBase):
    """The learning rate stays as it is."""

    kind: Literal["constant"] = "constant"


class StepSchedule(ScheduleBase):
    """The learning rate is multiplied by a factor once, part of the way through."""

    kind: Literal["step"] = "step"
    at: float = setting(0.5, "Where the rate drops, as a share of max_steps.", gt=0, le=1, step=0.05, groups=True)
    factor: float = setting(0.1, "What the rate is multiplied by.", gt=0, le=1, stepping=Stepping.DECADES, groups=True)


class CosineSchedule(ScheduleBase):
    """The rate rises linearly, then falls along half a cosine (Loshchilov & Hutter, 2017)."""

    kind: Literal["cosine"] = "cosine"
    warmup_steps: int = _warmup_steps(100)
    final: float = _final(0.1)


class LinearSchedule(ScheduleBase):
    """The rate rises linearly, then falls linearly."""

    kind: Literal["linear"] = "linear"
    warmup_steps: int = _warmup_steps(100)
    final: float = _final(0.0)


class OneCycleSchedule(ScheduleBase):
    """The rate climbs from low to learning_rate and sinks far below where it began (Smith & Topin, 2018)."""

    kind: Literal["one-cycle"] = "one-cycle"
    peak: float = setting(
        0.3, "Where the rate is highest, as a share of max_steps.", gt=0, lt=1, step=0.05, groups=True
    )
    start: float = setting(
        0.04, "The first rate, as a share of learning_rate.", gt=0, le=1, stepping=Stepping.DECADES, groups=True
    )
    final: float = setting(
        4e-6, "The last rate, as a share of learning_rate.", ge=0, le=1, stepping=Stepping.DECADES, groups=True
    )


Schedule = Annotated[
    ConstantSchedule | StepSchedule | CosineSchedule | LinearSchedule | OneCycleSchedule, Field(discriminator="kind")
]
