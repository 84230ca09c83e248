"""The fields beside the prompt take what the request for a sample takes, and say so where they do not."""

import pytest

from torchtty.engine.contract.run.requests import Sample
from torchtty.engine.contract.settings import configuration
from torchtty.tui.run import prompt

CONFIGURATION = configuration.parse(configuration.starting_tree("gpt"))
GOOD = {"temperature": "0.8", "top_k": "off", "top_p": "off", "count": "auto", "max_tokens": "200", "seed": "any"}


def test_the_fields_start_with_the_runs_own_settings():
    assert prompt.starting_texts(CONFIGURATION.tree()) == GOOD


def test_off_lifts_a_limit_that_the_run_itself_has():
    values, problems = prompt.parse(CONFIGURATION, GOOD)
    assert not problems
    command = Sample(prompt="x", **values)
    assert (command.top_k, command.top_p, command.count, command.seed) == (0, 1.0, None, None)


@pytest.mark.parametrize(
    ("field", "text", "says"),
    [
        ("temperature", "hot", "T takes a number from 0 to 10"),
        ("temperature", "", "T takes a number from 0 to 10"),
        ("top_k", "0", "top-k takes a whole number of at least 1, or off"),
        ("top_p", "1.5", "top-p takes a number above 0 and up to 1, or off"),
        ("count", "65", "n takes a whole number from 1 to 64, or auto"),
        ("max_tokens", "0", "tokens takes a whole number from 1 to 100000"),
        ("seed", "-1", "seed takes a whole number from 0"),
    ],
)
def test_a_wrong_field_says_what_it_takes(field, text, says):
    _, problems = prompt.parse(CONFIGURATION, GOOD | {field: text})
    assert list(problems) == [field]
    assert problems[field].startswith(says)


def test_numbers_are_taken_as_they_are():
    values, _ = prompt.parse(CONFIGURATION, GOOD | {"top_k": "40", "seed": "7", "count": "3"})
    assert (values["top_k"], values["seed"], values["count"]) == (40, 7, 3)
