"""A family from outside: an autoencoder, declared as a person would in a module of their own (see `TORCHTTY_FAMILIES`)."""

from typing import Literal

from pydantic import Field

from torchtty.engine.contract.settings.family import (
    RATE_CHART,
    SPEED_CHART,
    Configuration,
    Family,
    Metric,
    MetricChart,
    ModelSection,
    Output,
)
from torchtty.engine.contract.settings.fields import Section, setting
from torchtty.engine.contract.settings.optimizer import Adam, ConstantSchedule, Optimizer, Schedule
from torchtty.engine.contract.settings.training import EvaluatedTraining, PeriodicSampling


class AutoencoderModel(ModelSection):
    """Presses pictures through a few numbers and draws them again (Hinton & Salakhutdinov, 2006)."""

    kind: Literal["autoencoder"] = "autoencoder"
    n_code: int = setting(8, "Numbers that a picture is pressed into.", ge=1, le=64, essential=True)
    n_hidden: int = setting(32, "Units of the layers around the code.", ge=1, le=1024, essential=True)


class PictureData(Section):
    """Which pictures are learnt from, and how many are put aside."""

    dataset: str = setting("digits", "A dataset's name, or the path of a folder of pictures.", path=True)
    n_val: int = setting(200, "Pictures put aside to validate on.", ge=1, le=1000)


class AutoencoderTraining(EvaluatedTraining):
    """How an autoencoder is trained."""

    max_steps: int = setting(200, "Steps until training ends.", ge=1, live=True, essential=True)
    eval_interval: int = setting(20, "Steps between evaluations.", ge=1, live=True)
    log_interval: int = setting(5, "Steps a point of the curve is averaged over.", ge=1)


class PictureSampling(PeriodicSampling):
    """How often pictures are drawn again."""

    count: int = setting(16, "Pictures in a grid.", ge=1, le=256, live=True)
    interval: int = setting(20, "Steps between two grids.", ge=0, live=True)


class AutoencoderConfiguration(Configuration):
    """The configuration of an autoencoder."""

    model: AutoencoderModel = Field(default_factory=AutoencoderModel)
    data: PictureData = Field(default_factory=PictureData)
    optimizer: Optimizer = Field(default_factory=lambda: Adam(learning_rate=1e-2))
    schedule: Schedule = Field(default_factory=ConstantSchedule)
    training: AutoencoderTraining = Field(default_factory=AutoencoderTraining)
    sampling: PictureSampling = Field(default_factory=PictureSampling)


FAMILY = Family(
    kind="autoencoder",
    title="Autoencoder",
    summary="Presses pictures through a few numbers and draws them again.",
    configuration=AutoencoderConfiguration,
    task="autoencoder_task:AutoencoderTask",
    model="autoencoder_task:Autoencoder",
    metrics=(
        Metric("error", "train error", averaged=True, loss=True, smoothed=True, role="train"),
        Metric("val_error", "val error", label="val", description="squared error", loss=True, role="val"),
        Metric("psnr", "signal to noise", "dB", label="PSNR", description="signal to noise"),
    ),
    charts=(
        MetricChart("error", "squared error", ("error", "val_error")),
        MetricChart("psnr", "signal to noise", ("psnr",)),
        RATE_CHART,
        SPEED_CHART,
    ),
    headline=(("val_error", "psnr"), ("error",)),
    watched="val_error",
    output=Output.PICTURES,
)
