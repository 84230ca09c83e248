"""The table of model families: those that ship, and those that a person's own modules declare.

A module outside the package declares a family by a `FAMILY` (see `family.py`) and is named in `TORCHTTY_FAMILIES`, a list of
modules separated by commas. It is imported by the app and by every worker, so it must not import torch itself; the task and the
model that it names may. The sections of its configuration derive from `TrainingBase` (`EvaluatedTraining` where it is evaluated)
and `PeriodicSampling`, whose intervals and rules for stopping the loop reads.
"""

import os
from importlib import import_module

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.family import COMMON, Family, Metric

SHIPPED = ("ngram", "mlp", "bigram", "wavenet", "rnn", "transformer", "gpt", "gpt2", "dcgan")


def _load() -> dict[str, Family]:
    found = {kind: import_module(f"torchtty.engine.contract.settings.models.{kind}").FAMILY for kind in SHIPPED}
    for name in filter(None, map(str.strip, os.environ.get("TORCHTTY_FAMILIES", "").split(","))):
        try:
            family = import_module(name).FAMILY
        except (ImportError, AttributeError) as error:
            raise UserError(
                f"TORCHTTY_FAMILIES names {name}, which declares no model family: {error}. Mend it or leave it out."
            ) from None
        if family.kind in found:
            raise UserError(f"TORCHTTY_FAMILIES: {name} declares '{family.kind}', which is a family already.")
        found[family.kind] = family
    return found


FAMILIES: dict[str, Family] = _load()


def family_of(kind: str) -> Family:
    """Return the family of that kind; raise `UserError` that lists the kinds there are."""
    if kind not in FAMILIES:
        raise UserError(f"There is no model called '{kind}'. The models are {', '.join(FAMILIES)}.")
    return FAMILIES[kind]


def metric_named(name: str) -> Metric:
    """Return a metric as the first family that has it declares it; one that none has is shown by its name as it is."""
    declared = (metric for family in FAMILIES.values() for metric in (*family.metrics, *COMMON))
    return next((metric for metric in declared if metric.name == name), Metric(name, name))
