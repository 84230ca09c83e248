"""The programs that a run's metrics can be mirrored to while it trains, and whether their packages are here."""

from importlib.util import find_spec

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.family import Configuration

NO_MIRROR = "none"


def mirror_of(configuration: Configuration) -> str:
    """Return the program that a run is mirrored to; empty for none."""
    name = str(configuration.tree().get("training", {}).get("log", NO_MIRROR))
    return "" if name == NO_MIRROR else name


def missing(package: str) -> str:
    """Say that a package is not installed, and how it comes here; empty if it is."""
    if find_spec(package) is not None:
        return ""
    return f"{package} is not installed: 'pip install {package}' adds it, 'pip install \"torchtty[log]\"' adds all of them."


def refuse_missing(package: str) -> None:
    """Raise `UserError` where a package is not installed."""
    if sentence := missing(package):
        raise UserError(sentence)


def refuse_missing_mirror(configuration: Configuration) -> None:
    """Raise `UserError` where a run is to be mirrored to a program that is not here."""
    if (name := mirror_of(configuration)) and (sentence := missing(name)):
        raise UserError(f"training.log: {sentence} 'none' trains without it.")
