"""What lenses declare: their options, and the models that they look into."""

from importlib import resources

import pytest

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.lenses import LENSES, LensEntry, lenses_for, option
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.family import Feature

LENS = LensEntry(
    "example",
    "Example",
    "It is read.",
    needs=(Feature.NETWORK, Feature.TEXT),
    own_options=(
        option("show", "counts", "What is shown.", choices=("counts", "model")),
        option("text", "", "A text."),
        option("count", 5, "How many.", minimum=1, maximum=9),
        option("whole", False, "All of it."),
    ),
)


def test_what_is_left_out_takes_its_default_and_what_is_typed_is_read() -> None:
    defaults = {"show": "counts", "text": "", "count": 5, "whole": False, "step": None}
    assert LENS.complete({}) == defaults
    typed = LENS.parse({"show": "model", "text": " a ", "count": "7", "whole": "yes", "step": "500"})
    assert LENS.complete(typed) == {"show": "model", "text": " a ", "count": 7, "whole": True, "step": 500}


def test_every_wrong_option_is_named_with_what_it_takes() -> None:
    with pytest.raises(UserError) as refused:
        LENS.parse({"show": "all", "count": "12", "colour": "red"})
    assert str(refused.value).splitlines() == [
        "--show cannot be 'all': it takes one of counts, model.",
        "--count cannot be '12': it takes a whole number from 1 to 9.",
        "The lens example has no option --colour: it takes --show, --text, --count, --whole, --step.",
    ]
    with pytest.raises(UserError, match="--count cannot be 'many'"):
        LENS.complete({"count": "many"})


def test_a_family_that_lacks_what_a_lens_needs_is_refused_in_a_sentence() -> None:
    assert LENS.refusal(FAMILIES["gpt"]) == ""
    assert LENS.refusal(FAMILIES["ngram"]) == "n-gram counts and has no network, which the lens example looks into."
    assert (
        LENS.refusal(FAMILIES["dcgan"])
        == "DCGAN draws pictures and knows no tokens, which the lens example looks into."
    )


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_lenses_of_a_family_are_those_that_do_not_refuse_it(kind: str) -> None:
    family = FAMILIES[kind]
    assert lenses_for(family) == tuple(lens for lens in LENSES.values() if not lens.refusal(family))


def test_every_lens_says_how_it_is_read_and_what_its_options_are() -> None:
    for lens in LENSES.values():
        assert lens.reading.endswith(".")
        assert all(spec.help.endswith(".") for spec in lens.options)
        assert set(lens.complete({})) == {spec.name for spec in lens.options}


def test_the_guide_says_which_lens_is_for_which_model() -> None:
    page = resources.files("torchtty.assets").joinpath("guide", "lenses.md").read_text(encoding="utf-8")
    table = page.partition("## Which lens for which model")[2].partition("What a lens needs")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| ")
    ]
    told = {name: kinds.split(", ") for name, kinds in rows[1:]}
    for name, lens in LENSES.items():
        assert told.get(name) == [kind for kind, family in FAMILIES.items() if not lens.refusal(family)], name
    assert list(told) == list(LENSES)
