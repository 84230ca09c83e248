"""Settings of models that draw pictures: their data, their training and the grids they show."""

from typing import Literal

from torchtty.engine.contract.settings.fields import Section, Stepping, setting
from torchtty.engine.contract.settings.training import DEVICES

LARGEST_GRID = 256


class ImageData(Section):
    """Which pictures are learnt from. They are cut square around their middle and resized to the model's image_size."""

    dataset: str = setting("digits", "A dataset's name, or the path of a folder of PNG, JPEG or WebP files.", path=True)
    limit: int | None = setting(
        None, "Learn from so many of the pictures only, drawn at random; none takes all.", ge=2, step=1000
    )


class AdversarialTraining(Section):
    """How a generator and a discriminator are trained against each other: one step of each a step."""

    max_steps: int = setting(5000, "Steps until training ends.", ge=1, le=10**9, step=1000, unit="steps", live=True)
    batch_size: int = setting(
        128, "Pictures a step, real ones and drawn ones each.", ge=2, le=8192, stepping=Stepping.POWERS
    )
    log_interval: int = setting(10, "Steps a point of the curves is averaged over.", ge=1, step=10, unit="steps")
    checkpoint_interval: int = setting(
        1000, "Steps between checkpoints; the latest two are kept.", ge=1, step=500, unit="steps", live=True
    )
    seed: int = setting(1337, "Fixes weights, batches and noise.", ge=0, le=2**31 - 1)
    device: str = setting(
        "auto",
        "Where the model trains; auto takes a GPU if there is one.",
        pattern=DEVICES,
        allowed="auto, cpu, cuda, cuda:N or mps",
    )
    precision: Literal["float32", "bfloat16"] = setting(
        "float32", "bfloat16 is faster on GPUs that have it; refused where it would be slower."
    )


class ImageSampling(Section):
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
