"""What the runs of a sweep differ in, and the configurations that this amounts to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.values import MOST, Span, Value
from torchtty.engine.contract.settings.configuration import ConfigurationError, kinds, parse, specs, variant, with_value
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.family import Configuration, Tree
from torchtty.engine.contract.settings.fields import FieldSpec, describe, show

SEED = "training.seed"
MODEL = "model"  # what the runs of a race differ in: the name of a family or recipe


@dataclass(frozen=True)
class Variation:
    """What runs differ in: {path: values}. A run has one value of each; a grid has a run for every combination.

    `spans` are the settings whose values a plan draws from a range. `fixed` are settings which were given one value, and which
    hold in every variant of their section that has them: `optimizer.kind` adam,sgd begins afresh with each optimizer that
    is not the one in common.
    """

    values: Mapping[str, tuple[Value, ...]]
    spans: Mapping[str, Span] = field(default_factory=dict)
    fixed: Mapping[str, Value] = field(default_factory=dict, compare=False)

    @property
    def paths(self) -> list[str]:
        """The varied settings: kinds first, since they decide which fields there are, and the seed last."""
        return sorted((*self.values, *self.spans), key=lambda path: (path == SEED, not path.endswith(".kind")))

    @property
    def combinations(self) -> int:
        """How many runs a grid has."""
        count = 1
        for values in self.values.values():
            count *= len(values)
        return count

    def settings(self) -> list[dict[str, Value]]:
        """Return the varied settings of every run of a grid. Runs that differ in the seed alone stand side by side."""
        if (count := self.combinations) > MOST:
            raise UserError(f"That would be {count:,} runs, and a sweep has {MOST} at most. Give fewer values.")
        return [dict(zip(self.paths, chosen, strict=True)) for chosen in product(*(self.values[p] for p in self.paths))]

    def configurations(self, tree: Mapping[str, Any]) -> list[Configuration]:
        """Return the configuration of every run, given what all have in common; raise `ConfigurationError` or `UserError`."""
        return [self.configuration(tree, settings) for settings in self.settings()]

    def configuration(self, tree: Mapping[str, Any], settings: Mapping[str, Value]) -> Configuration:
        """Return the configuration of one run; raise `ConfigurationError` that names the combination where it cannot run."""
        own: Tree = dict(tree)
        for path, value in settings.items():
            if path.endswith(".kind"):
                section = path.partition(".")[0]
                if own[section].get("kind") != value:
                    own = with_value(own, path, value)
                names = variant(own["model"]["kind"], section, str(value)).model_fields
                for given, fixed in self.fixed.items():
                    if given.partition(".")[0] == section and given.partition(".")[2] in names:
                        own = with_value(own, given, fixed)
        for path, value in settings.items():
            if not path.endswith(".kind"):
                own = with_value(own, path, value)
        try:
            return parse(own)
        except ConfigurationError as error:
            if len(settings) < 2:
                raise
            raise UserError(f"A run with {in_words(settings)} is impossible: {error.problems[0]}.") from None


def fields_of(
    kind: str, tree: Mapping[str, Any], sections: Mapping[str, tuple[str, ...]] | None = None
) -> dict[str, FieldSpec]:
    """Return every setting in which runs of a family may be given values, `optimizer.kind` and its like included.

    `sections` names the kinds of a section that runs are to differ in: then the fields of all of them are there.
    """
    configuration = family_of(kind).configuration
    found = {spec.path: spec for spec in specs(kind, tree)}
    for section in configuration.model_fields:
        choices = kinds(kind, section) if section != "model" else ()
        if choices:
            path, chosen = f"{section}.kind", tree.get(section, {}).get("kind")
            found[path] = FieldSpec(path, str, chosen, f"The kind of {section}.", choices=choices)
    for section, wanted in (sections or {}).items():
        for name in wanted:
            for spec in describe(section, variant(kind, section, name)):
                found.setdefault(spec.path, spec)
    return found


def varying(kind: str, tree: Mapping[str, Any]) -> list[str]:
    """Return the settings in which members of one batched model may differ: numbers that change no shape."""
    return [spec.path for spec in specs(kind, tree) if spec.groups]


def common(tree: Mapping[str, Any]) -> str:
    """Return what the members of one batched model have in common with a run of this configuration, as a key."""
    free = {tuple(path.split(".")) for path in varying(str(tree["model"]["kind"]), tree)}
    kept = {
        section: {name: value for name, value in fields.items() if (section, name) not in free}
        for section, fields in tree.items()
    }
    return json.dumps(kept, sort_keys=True)


def in_words(settings: Mapping[str, Value]) -> str:
    """Return the varied settings of a run in a few words: `seed 3, learning_rate 1e-3`, `optimizer adam`."""
    return ", ".join(f"{short(path)} {show(value)}" for path, value in settings.items())


def short(path: str) -> str:
    """Return a setting's name without its section; a kind by its section, as there are several."""
    section, _, name = path.partition(".")
    return section if name in ("", "kind") else name
