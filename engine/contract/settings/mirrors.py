"""The programs that a run's metrics can be mirrored to while it trains, and whether their packages are here."""

from importlib.util import find_spec

from torchtty.engine.contract.errors import UserError

NO_MIRROR = "none"
MIRRORS = ("tensorboard", "trackio", "wandb")


def missing(package: str) -> str:
    """Say that a package is not installed, and how it comes here; empty if it is."""
    if find_spec(package) is not None:
        return ""
    return f"{package} is not installed: 'pip install {package}' adds it, 'pip install \"torchtty[log]\"' adds all of them."


def refuse_missing(package: str) -> None:
    """Raise `UserError` where a package is not installed."""
    if sentence := missing(package):
        raise UserError(sentence)
