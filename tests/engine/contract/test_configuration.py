"""One declaration: ranges, flags, files and messages agree with each other."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.configuration import (
    ConfigurationError,
    difference,
    from_toml,
    kinds,
    parse,
    specs,
    starting_tree,
    to_toml,
    with_flags,
    with_value,
)
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.fields import FieldSpec, Stepping, show

ALL_FIELDS = [(kind, spec) for kind in FAMILIES for spec in specs(kind, starting_tree(kind))]


def value_of(spec: FieldSpec) -> st.SearchStrategy[Any]:
    """Values that the declaration allows."""
    if spec.choices:
        base: st.SearchStrategy[Any] = st.sampled_from(spec.choices)
    elif spec.type is bool:
        base = st.booleans()
    elif spec.type is str:
        base = (
            st.just("cpu")
            if spec.pattern
            else st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), max_size=20)
        )
    elif spec.type is int:
        low = int(spec.minimum if spec.minimum is not None else (spec.above or 0) + 1)
        base = st.integers(low, int(spec.maximum) if spec.maximum is not None else low + 10**6)
    else:
        low_f = spec.minimum if spec.minimum is not None else spec.above
        high_f = spec.maximum if spec.maximum is not None else spec.below
        base = st.floats(
            low_f if low_f is not None else -1e6,
            high_f if high_f is not None else 1e6,
            exclude_min=spec.minimum is None and spec.above is not None,
            exclude_max=spec.maximum is None and spec.below is not None,
            allow_subnormal=False,
        )
    return st.none() | base if spec.optional else base


@given(st.data())
def test_any_allowed_value_survives_the_flag_and_the_file(data: st.DataObject) -> None:
    kind, spec = data.draw(st.sampled_from(ALL_FIELDS))
    value = data.draw(value_of(spec))
    tree = with_value(starting_tree(kind), spec.path, value)
    try:
        configuration = parse(tree)
    except ConfigurationError as error:  # in range, and yet it does not go with the rest: said of this section
        sections = {problem.path.split(".")[0] for problem in error.problems}
    else:
        sections = set()
    if sections:
        assert sections == {spec.section}
        return
    assert from_toml(to_toml(configuration.tree())) == configuration
    if spec.type is not str:
        typed = repr(value) if isinstance(value, float) else show(value)
        assert with_flags(starting_tree(kind), {spec.path: typed}) == configuration


@given(st.data(), st.sampled_from([1, -1]))
def test_stepping_never_leaves_the_range(data: st.DataObject, direction: int) -> None:
    _, spec = data.draw(st.sampled_from(ALL_FIELDS))
    value = data.draw(value_of(spec))
    for _ in range(3):
        value = spec.stepped(value, direction)
    text = repr(value) if isinstance(value, float) else show(value)
    if spec.type is not str or spec.choices:
        assert spec.parse(text) == value


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_family_starts_valid_and_every_field_is_explained(kind: str) -> None:
    assert isinstance(parse(starting_tree(kind)), Configuration)
    for spec in specs(kind, starting_tree(kind)):
        assert spec.help.endswith((".", "?")), spec.path
        assert len(spec.help) > 10, spec.path
        assert spec.allowed(), spec.path


def test_a_model_that_counts_has_no_optimizer() -> None:
    assert not any(spec.section in ("optimizer", "schedule") for spec in specs("ngram", {}))
    with pytest.raises(ConfigurationError, match=r"optimizer.learning_rate is not a setting of n-gram"):
        with_flags(starting_tree("ngram"), {"optimizer.learning_rate": "0.1"})


def test_every_wrong_flag_is_named_at_once_with_what_is_allowed() -> None:
    wrong = {
        "model.n_layer": "many",
        "model.nhead": "2",
        "training.device": "tpu",
        "optimizer.kind": "adm",
        "training.seed": "1.5",
    }
    with pytest.raises(ConfigurationError) as caught:
        with_flags(starting_tree("gpt"), wrong)
    said = {problem.path: problem.message for problem in caught.value.problems}
    assert set(said) == set(wrong)
    assert "whole number from 1 to 96" in said["model.n_layer"]
    assert "did you mean model.n_head" in said["model.nhead"]
    assert "cuda:N" in said["training.device"]
    assert "adamw" in said["optimizer.kind"]


def test_a_width_that_the_heads_cannot_share_is_refused_with_widths_that_work() -> None:
    with pytest.raises(ConfigurationError, match=r"model.n_embd must be a multiple of n_head \(4\), such as 28 or 32"):
        with_flags(starting_tree("gpt"), {"model.n_embd": "30"})


def test_changing_a_kind_starts_its_section_afresh() -> None:
    configuration = with_flags(starting_tree("gpt"), {"optimizer.kind": "sgd", "optimizer.momentum": "0.9"})
    assert configuration.tree()["optimizer"]["momentum"] == 0.9
    assert "beta1" not in configuration.tree()["optimizer"]
    assert "sgd" in kinds("gpt", "optimizer")


@pytest.mark.parametrize("text", ["", "[model]\nkind = 3", "[model\n", "[model]\nkind='gpt'\nn_layer='x'", "a = nan"])
def test_a_broken_file_is_a_sentence(text: str) -> None:
    with pytest.raises(UserError):
        from_toml(text, "some.toml")


def test_the_difference_of_two_runs_is_the_settings_that_differ() -> None:
    first = starting_tree("gpt")
    second = with_value(first, "optimizer.learning_rate", 0.5)
    assert difference(first, second) == {"optimizer.learning_rate": (0.001, 0.5)}
    assert difference(first, first) == {}


@pytest.mark.parametrize(
    ("value", "up", "down"),
    [(1e-3, 2e-3, 5e-4), (2e-3, 5e-3, 1e-3), (5e-3, 1e-2, 2e-3), (3e-4, 5e-4, 2e-4), (1.0, 2.0, 0.5)],
)
def test_rates_step_through_one_two_five(value: float, up: float, down: float) -> None:
    spec = FieldSpec("optimizer.learning_rate", float, 1e-3, "Rate.", above=0, maximum=100, stepping=Stepping.DECADES)
    assert spec.stepped(value, 1) == pytest.approx(up)
    assert spec.stepped(value, -1) == pytest.approx(down)


@pytest.mark.parametrize(
    ("value", "text"),
    [(3e-4, "3e-4"), (0.1, "0.1"), (1.0, "1"), (True, "yes"), (None, "none"), (1.5e-7, "1.5e-7"), (12, "12")],
)
def test_values_are_shown_as_a_person_writes_them(value: Any, text: str) -> None:
    assert show(value) == text
