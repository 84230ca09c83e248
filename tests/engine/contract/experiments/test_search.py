"""A search told of runs that were written without a worker: which it ends early, and what it remembers of before."""

from pathlib import Path

import pytest
from tests.written_run import WrittenRun

from torchtty.engine.contract.experiments.group import RunGroup, create_group
from torchtty.engine.contract.experiments.members import Member
from torchtty.engine.contract.experiments.plan import Kind, Plan
from torchtty.engine.contract.experiments.values import Span
from torchtty.engine.contract.experiments.variation import Variation
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree, with_value

pytest.importorskip("optuna")

from torchtty.engine.contract.experiments.search import STARTUP, Search

RATE = "optimizer.learning_rate"


@pytest.fixture
def group(tmp_path: Path) -> RunGroup:
    variation = Variation({}, {RATE: Span(1e-3, 1.0, log=True)})
    tree = with_value(starting_tree("mlp"), "training.max_steps", 1000)
    return create_group(tree, variation, root=tmp_path, name="g", plan=Plan(Kind.TPE, runs=8, seed=1))


def train(member: Member, *losses: float, state: RunState = RunState.RUNNING) -> None:
    """Write validation losses, one each 100 steps of 1,000."""
    writer = WrittenRun(member.run)
    writer.metrics(*({"step": 100 * place, "val_loss": loss} for place, loss in enumerate(losses, 1)))
    step, best = 100 * len(losses), min(losses)
    writer.status(state, step=step, max_steps=1000, metrics={"val_loss": losses[-1]}, best=best)
    member.look()


def begun(search: Search) -> Member:
    (member,), until = search.next()
    assert until is None
    return member


def test_a_run_behind_the_median_of_the_earlier_ones_is_ended_and_others_go_on(group: RunGroup) -> None:
    search = Search(group, [])
    for number in range(STARTUP):
        member = begun(search)
        train(member, 3.0, 2.5, 2.0 + 0.1 * number, state=RunState.FINISHED)
        assert search.look() == []
    behind, level = begun(search), begun(search)
    train(behind, 3.0, 2.9)
    train(level, 3.0, 2.4)
    assert search.look() == [behind]
    assert [planned.ended for planned in group.planned()] == [""] * STARTUP + ["pruned", ""]
    train(level, 2.3)
    assert search.look() == []


def test_a_search_that_is_gone_on_with_remembers_its_runs_and_makes_no_more_than_were_asked_for(
    group: RunGroup,
) -> None:
    search = Search(group, [])
    members = [begun(search) for _ in range(3)]
    train(members[0], 2.0, state=RunState.FINISHED)
    train(members[1], 2.5, state=RunState.FAILED)
    train(members[2], 2.2, state=RunState.STOPPED)
    again = Search(group, [Member.of(run) for run in group.runs()])
    resumed = begun(again)
    assert resumed.run.name == members[2].run.name
    made = []
    while (found := again.next()[0]) != []:
        made += found
    assert len(group.planned()) == 8
    assert len(made) == 5
    rates = [planned.settings[RATE] for planned in group.planned()]
    assert len(set(rates)) == 8
