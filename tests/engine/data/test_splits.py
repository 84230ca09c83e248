"""Splits are whole, repeatable and share nothing."""

from hypothesis import given
from hypothesis import strategies as st

from torchtty.engine.data.text import Corpus, limited, split, split_items

fractions = st.floats(0, 0.5)


@given(st.lists(st.text(max_size=4), max_size=60), fractions, fractions, st.integers(0, 2**32))
def test_every_item_lands_in_exactly_one_part(items: list[str], val: float, test: float, seed: int) -> None:
    parts = split_items(items, val, test, seed)
    assert sorted(parts["train"] + parts["val"] + parts["test"]) == sorted(items)
    assert parts == split_items(items, val, test, seed)


@given(st.text(max_size=200), fractions, fractions)
def test_a_text_is_cut_by_position(text: str, val: float, test: float) -> None:
    parts = split(text, val, test)
    assert parts["train"] + parts["val"] + parts["test"] == text


def test_parts_have_the_sizes_asked_for() -> None:
    items = [str(number) for number in range(32_033)]
    parts = split_items(items, 0.1, 0.1, seed=42)
    assert [len(parts["train"]), len(parts["val"]), len(parts["test"])] == [25_626, 3_203, 3_204]
    assert len(split("x" * 1_115_394, 0.1)["train"]) == 1_003_854
    assert len(split_items(items[:10], 0.2, 0.1)["train"]) == 7


def test_another_seed_gives_another_order_and_the_same_seed_the_same_one() -> None:
    items = ["anna", "bea", "carla", "dora", "eva", "fede", "gaia", "ida"]
    assert split_items(items, 0.25, seed=1)["train"] != split_items(items, 0.25, seed=2)["train"]
    # Pinned: a resumed run must find the very same split, under every version of Python.
    assert split_items(items, 0.25, seed=42)["val"] == ("anna", "bea")


def test_a_limit_keeps_items_from_all_over_the_list_and_always_the_same() -> None:
    corpus = Corpus("numbers", "items", items=tuple(str(number) for number in range(1000)))
    few = limited(corpus, 5, seed=42)
    assert len(set(few.items)) == 5
    assert max(map(int, few.items)) > 400
    assert few == limited(corpus, 5, seed=42)
    assert few.notes == ("Only 5 of 1,000 items are learnt from.",)
    assert limited(corpus, None, seed=42) is limited(corpus, 1000, seed=42) is corpus


def test_a_limit_keeps_the_beginning_of_a_text() -> None:
    few = limited(Corpus("text", "text", text="to be or not to be"), 5, seed=42)
    assert (few.text, few.notes) == ("to be", ("Only 5 of 18 characters are learnt from.",))
