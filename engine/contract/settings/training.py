"""Settings of training and of sampling."""

from typing import ClassVar, Literal

from torchtty.engine.contract.settings.data import DATASET
from torchtty.engine.contract.settings.fields import Section, Stepping, setting

LARGEST_GRID = 256  # pictures


class CountingTraining(Section):
    """How a model that counts is trained: one pass over the text."""

    seed: int = setting(42, "Fixes the split and the samples.", ge=0, le=2**31 - 1, essential=True)


OF_THE_MACHINE = ("training.device", "training.devices", "training.precision", "training.log", DATASET)
"""Settings that are fixed while a run trains and may change when it is resumed, on a machine that has other devices or programs.

So may the place of the data, which must be the same ones wherever they lie.
"""


class TrainingBase(Section):
    """How a model is trained by gradient descent, whatever it learns."""

    heading: ClassVar[str] = "more of the training"

    max_steps: int = setting(
        5000, "Steps until training ends.", ge=1, le=10**9, step=1000, unit="steps", live=True, essential=True
    )
    max_seconds: float | None = setting(
        None,
        "Seconds of training after which it ends, pauses, evaluations and samples left out; none: no limit.",
        gt=0,
        step=60,
        unit="seconds",
        live=True,
    )
    batch_size: int = setting(32, "Examples a step.", ge=1, le=65536, stepping=Stepping.POWERS, essential=True)
    log_interval: int = setting(
        10, "Steps a point of the training curve is averaged over.", ge=1, step=10, unit="steps"
    )
    checkpoint_interval: int = setting(
        1000,
        "Steps between checkpoints; the best and the latest two are kept.",
        ge=1,
        step=500,
        unit="steps",
        live=True,
    )
    seed: int = setting(1337, "Fixes weights, batches and samples.", ge=0, le=2**31 - 1, groups=True, essential=True)
    device: str = setting(
        "auto",
        "Where the model trains; auto takes a GPU if there is one.",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        allowed="auto, cpu, cuda, cuda:N or mps",
    )
    precision: Literal["float32", "bfloat16", "float16", "auto"] = setting(
        "float32",
        "bfloat16 is refused where it would be slower, float16 is for GPUs without it; auto times what there is, and keeps the "
        "quicker.",
    )
    compile: bool = setting(
        False,
        "Has torch.compile generate the kernels after the first step, in a minute or so; a CPU needs a C++ compiler for it.",
    )
    log: Literal["none", "tensorboard", "trackio", "wandb"] = setting(
        "none", "Where the metrics go while it trains, besides the run's folder; it changes nothing in training."
    )


class EvaluatedTraining(TrainingBase):
    """Training of a model whose loss on data that it does not learn from says how good it is."""

    eval_interval: int = setting(250, "Steps between evaluations.", ge=1, step=50, unit="steps", live=True)
    eval_batches: int = setting(20, "Batches an evaluation on each split; 0 takes the whole split.", ge=0, step=10)
    patience: int | None = setting(
        None,
        "Training ends after so many evaluations in a row without improvement on the validation split; none: it does not.",
        ge=1,
        unit="evaluations",
        live=True,
    )
    min_delta: float = setting(
        0.0, "The least that the loss must fall by to count as an improvement for patience.", ge=0, step=0.01, live=True
    )
    patience_smoothing: float = setting(
        0.5,
        "Weight of the past in the exponential mean of the evaluations that patience looks at; 0 takes each as it is.",
        ge=0,
        lt=1,
        step=0.1,
        live=True,
    )
    target_loss: float | None = setting(
        None, "Training ends once the loss has fallen to this; none: it does not.", step=0.1, live=True
    )

    @property
    def target(self) -> str | None:
        """The metric that target_loss is about; none means the one that marks the best checkpoint."""
        return None


class LanguageTraining(EvaluatedTraining):
    """How a model of language is trained by gradient descent."""

    target_metric: Literal["val_loss", "train_eval_loss"] = setting(
        "val_loss", "What target_loss is held against: the loss on the validation or on the training split, evaluated."
    )
    grad_clip: float = setting(
        1.0,
        "Largest gradient let through, measured as grad_clip_kind says; 0 lets all through.",
        ge=0,
        step=0.5,
        live=True,
        groups=True,
    )
    devices: str = setting(
        "one",
        "Where each batch is shared out, one process each: GPUs by number, or cpu,cpu; the sum is that of one process.",
        pattern=r"^(one|\d+(,\d+)+|cpu(,cpu)+)$",
        allowed="one, GPUs such as 0,1, or cpu,cpu",
    )
    grad_clip_kind: Literal["norm", "value"] = setting(
        "norm", "norm: shorten the gradient of all weights as one vector; value: cut each number to ±grad_clip."
    )
    loss: Literal["cross-entropy", "nll", "mse", "l1", "bce", "bce-with-logits"] = setting(
        "cross-entropy",
        "What training lowers: cross-entropy, or nll, the same of log-softmax; mse or l1 between probabilities and the true "
        "token; bce, each token as a yes or no, from sigmoids or (with-logits) in one stable step. The curves show "
        "cross-entropy whichever it is.",
    )

    @property
    def target(self) -> str:
        return self.target_metric

    @property
    def shared_by(self) -> tuple[str, ...]:
        """The devices that share each batch, by torch's names; none where one process trains."""
        if self.devices == "one":
            return ()
        return tuple(part if part == "cpu" else f"cuda:{part}" for part in self.devices.split(","))


class AdversarialTraining(TrainingBase):
    """How a generator and a discriminator are trained against each other: one step of each a step."""

    batch_size: int = setting(
        128, "Pictures a step, real ones and drawn ones each.", ge=2, le=8192, stepping=Stepping.POWERS, essential=True
    )
    checkpoint_interval: int = setting(
        1000, "Steps between checkpoints; the latest two are kept.", ge=1, step=500, unit="steps", live=True
    )


class TextSampling(Section):
    """How text is drawn from the model."""

    prompt: str = setting("", "What the samples go on from.", live=True)
    count: int | None = setting(
        None, "Samples drawn at once; none means ten items, or one running text.", ge=1, le=64, live=True
    )
    max_tokens: int = setting(200, "Longest sample.", ge=1, le=100_000, step=50, unit="tokens", live=True)
    temperature: float = setting(
        0.8, "Below 1 keeps to the likely, above 1 dares; 0 takes the likeliest.", ge=0, le=10, step=0.1, live=True
    )
    top_k: int | None = setting(
        None, "Draw from the k likeliest tokens only.", ge=1, stepping=Stepping.POWERS, live=True
    )
    top_p: float | None = setting(
        None, "Draw from the likeliest tokens that sum to this probability.", gt=0, le=1, step=0.05, live=True
    )


class PeriodicSampling(Section):
    """How often samples are drawn during training."""

    interval: int = setting(
        500, "Steps between automatic samples; 0 draws none.", ge=0, step=100, unit="steps", live=True
    )


class PeriodicTextSampling(PeriodicSampling, TextSampling):
    """How text is drawn from the model, and how often it is during training."""


class ImageSampling(PeriodicSampling):
    """How pictures are drawn from the model, and how often they are during training."""

    count: int = setting(64, "Pictures in a grid.", ge=1, le=LARGEST_GRID, step=8, live=True)
    interval: int = setting(
        500,
        "Steps between the grids that are drawn from the same noise; 0 draws none.",
        ge=0,
        step=50,
        unit="steps",
        live=True,
    )
