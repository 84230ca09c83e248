"""What the charts of a run show, by the family of its model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """What one chart shows: the metrics on its axes."""

    id: str
    title: str
    metrics: tuple[str, ...]


RATE = Quantity("learning-rate", "learning rate", ("learning_rate",))
SPEED = Quantity("speed", "speed", ("steps_per_second",))

TEXT = (
    Quantity("loss", "loss", ("train_loss", "val_loss")),
    RATE,
    Quantity("gradient", "gradient norm", ("grad_norm",)),
    SPEED,
)
"""Models that learn from a loss on text."""

ADVERSARIAL = (
    Quantity("game", "losses", ("loss_d", "loss_g")),
    Quantity("probabilities", "D(x) and D(G(z))", ("d_real", "d_fake", "d_fake_after")),
    RATE,
    SPEED,
)
"""Generator against discriminator: neither loss says how good the pictures are, only who is winning."""

ALL = tuple(dict.fromkeys(TEXT[:1] + ADVERSARIAL[:2] + TEXT[1:]))
"""Every chart there is, in the order of the tabs."""

_BY_FAMILY = {"dcgan": ADVERSARIAL}


def quantities(family: str | None) -> tuple[Quantity, ...]:
    """Return the charts of a family, the most important first."""
    return _BY_FAMILY.get(family or "", TEXT)
