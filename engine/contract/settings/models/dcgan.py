"""Settings of the DCGAN."""

from collections.abc import Iterator
from typing import Literal

from torchtty.engine.contract.settings.fields import doubling, setting
from torchtty.engine.contract.settings.tasks import PictureModel, adversarial_family

IMAGE_SIZES = (32, 64)
CHANNELS = (1, 3)


class DCGANModel(PictureModel):
    """A generator draws pictures from noise, a discriminator tells them from real ones (Radford et al., 2016)."""

    kind: Literal["dcgan"] = "dcgan"
    image_size: int = doubling(
        64, "Height and width of the pictures: 32 or 64.", ge=32, le=64, unit="pixels", essential=True
    )
    channels: int = setting(3, "1 for grey pictures, 3 for colour.", ge=1, le=3, step=2, essential=True)
    n_latent: int = setting(
        100,
        "Numbers of noise that a picture is drawn from; nz in the literature.",
        ge=1,
        le=4096,
        step=10,
        essential=True,
    )
    n_generator: int = doubling(64, "Channels of the generator's last hidden layer; ngf.", le=1024, essential=True)
    n_discriminator: int = doubling(64, "Channels of the discriminator's first layer; ndf.", le=1024, essential=True)

    def check(self) -> Iterator[tuple[str, str]]:
        if self.image_size not in IMAGE_SIZES:
            yield "image_size", "must be 32 or 64"
        if self.channels not in CHANNELS:
            yield "channels", "must be 1 (grey) or 3 (colour)"


FAMILY = adversarial_family(
    DCGANModel,
    title="DCGAN",
    summary="Draws pictures: a generator learns to be mistaken for real by a discriminator that learns to tell.",
    model="torchtty.engine.models.dcgan:DCGAN",
    start={
        "model": {"image_size": 32, "channels": 1, "n_generator": 32, "n_discriminator": 32},
        "training": {"batch_size": 64, "max_steps": 2000, "checkpoint_interval": 500},
        "sampling": {"interval": 100},
    },
)
