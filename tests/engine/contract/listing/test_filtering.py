"""The filter of the list of runs: what its terms mean, and what is said of a wrong one."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchtty.engine.contract.listing.entry import Entry
from torchtty.engine.contract.listing.filtering import FilterError, completions, parse_filter
from torchtty.engine.contract.listing.subjects import SUBJECTS
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.marks import Marks
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import starting_tree, with_value


def entry(name="names-gpt-1", kind="gpt", state=RunState.FINISHED, marks=None, group="", **changes):
    """A run as the list has it, with settings changed."""
    tree = starting_tree(kind)
    for path, value in changes.items():
        tree = with_value(tree, path.replace("__", "."), value)
    status = Status(
        state=state, step=500, max_steps=1000, metrics={"val_loss": 1.8}, best=1.7, seconds=90.0, parameters=48_637
    )
    snapshot = RunSnapshot(RunDirectory(Path(name)), status, group=group)
    return Entry(snapshot, tree, time.time() - 7200, "names-gpt", marks or Marks())


ONE = entry(marks=Marks(True, ("good", "base-line"), "The baseline of Tuesday"), optimizer__learning_rate=2e-3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  names  ",
        "NAMES gpt",
        "model:gpt",
        "model:GPT,mlp",
        "model:g*",
        "model!=mlp",
        "lr>=1e-3 val<1.9",
        "lr >= 1e-3 val< 1.9 params >48k gpt",
        "lr:2e-3",
        "lr:1e-3..1e-2",
        "optimizer.learning_rate=0.002",
        "params>48k params<0.05M",
        "time<2m time>=90s age>1h age<3d",
        "state:finished",
        "-state:running",
        "-state:live",
        "tag:good tag:base-line tag:b*",
        "star:yes -tag:bad",
        'note:"baseline of"',
        '"baseline of Tue" recipe:gpt',
        "optimizer:adamw",
        "best<=1.7 step:500",
        "name=names-gpt-1 name:gpt name:n*1",
        "val_loss<1.9",
        "-group:a group!=b",
    ],
)
def test_a_run_fits(text):
    assert parse_filter(text).fits(ONE), text


@pytest.mark.parametrize(
    "text",
    [
        "mlp",
        "val < 1.5",
        "model:gpt2",
        "model:mlp",
        "lr<1e-3",
        "lr:3e-3..1",
        "val>1.8",
        "test<100",
        "star:no",
        "tag:goo",
        "name=names",
        "-names",
        "n_hidden>0",
        "note:wednesday",
        "state:live",
    ],
)
def test_a_run_does_not_fit(text):
    assert not parse_filter(text).fits(ONE), text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr>=", "'lr>=' needs a value such as 1e-3"),
        ("val<abc", "'val<abc' cannot be read: 'abc' is not a number such as 1e-3"),
        ("lr>=abc", "'lr>=abc' cannot be read: 'abc' is not a number such as 1e-3"),
        ("learning_rat>3", "Did you mean learning_rate"),
        ("nonsense_here:3", "There are name, state, model"),
        ("state:runing", "state is one of starting, queued, running"),
        ("model<3", "model is no number. Write model:3."),
        ("age<3x", "'3x' is not a time such as 90s"),
        ("val<nan", "nothing is equal to NaN"),
        ("gpt -", "A dash excludes"),
    ],
)
def test_a_wrong_term_is_named_with_what_it_takes(text, message):
    with pytest.raises(FilterError) as error:
        parse_filter(text)
    assert message in str(error.value)


def test_gpt_is_not_gpt2_and_a_number_of_one_family_is_missing_in_another():
    two = entry("other", "mlp")
    assert [one.key for one in (ONE, two) if parse_filter("n_head>0").fits(one)] == [ONE.key]
    assert parse_filter("n_head!=4").fits(two)


names = st.sampled_from([*SUBJECTS, "lr", "n_layer", "optimizer", "val_loss"])
signs = st.sampled_from([":", "=", "!=", "<", "<=", ">", ">="])
values = st.sampled_from(["1", "1e-3", "2k", "gpt", "yes", "finished", "a,b", "1..2", "*", '"a b"'])
terms = st.one_of(
    st.builds(lambda dash, *parts: dash + "".join(parts), st.sampled_from(["", "-"]), names, signs, values),
    st.sampled_from(["names", "gpt", "-mlp", '"two words"', "zzz"]),
)


def understood(text):
    try:
        return parse_filter(text)
    except FilterError:
        return None


@given(st.text(max_size=40))
def test_any_text_is_understood_or_refused_in_a_sentence(text):
    said = ""
    try:
        parse_filter(text).fits(ONE)
    except FilterError as error:
        said = str(error)
    assert not said or said.endswith(".")
    assert not {"\n", "\x1b"} & set(said)


@given(st.lists(terms, max_size=4))
def test_terms_beside_each_other_all_have_to_fit(several):
    each = [understood(term) for term in several]
    together = understood(" ".join(several))
    if None in each:
        assert together is None
    else:
        assert together is not None
        assert together.fits(ONE) == all(one.fits(ONE) for one in each if one)


@given(terms)
def test_a_dash_turns_a_term_into_its_opposite(term):
    positive = term.removeprefix("-")
    one, other = understood(positive), understood(f"-{positive}")
    assert (one is None) == (other is None)
    if one and other:
        assert one.fits(ONE) != other.fits(ONE)


@given(st.floats(1e-6, 1e6), st.sampled_from(["<", "<=", ">", ">="]), st.floats(1e-6, 1e6))
def test_numbers_are_compared_as_numbers(has, sign, given_number):
    run = entry(optimizer__learning_rate=has)
    expected = {"<": has < given_number, "<=": has <= given_number, ">": has > given_number, ">=": has >= given_number}
    assert parse_filter(f"lr{sign}{given_number!r}").fits(run) == expected[sign]


def test_names_and_words_are_completed():
    assert completions("gpt mod")[0] == "gpt model"
    assert completions("state:fin") == ["state:finished"]
    assert completions("-learning_r") == ["-learning_rate"]
    assert completions("val<1.9 ") == []
