"""Settings with several values in the form: what the line says of them, and the sweep that they start."""

import shlex
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from on_screen import until
from textual.widgets import Select, Static

from torchtty.engine.contract.experiments.group import RunGroup, list_groups
from torchtty.engine.contract.experiments.members import cut
from torchtty.engine.contract.experiments.outlook import cores
from torchtty.engine.contract.run.directory import list_runs
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.cli.arguments import parse_argv
from torchtty.tui.cli.sweep import _planned
from torchtty.tui.experiments.fan import Fan
from torchtty.tui.experiments.screen import ExperimentsScreen
from torchtty.tui.form.dialogs import CommandDialog, SaveRecipeDialog
from torchtty.tui.form.row import FieldRow
from torchtty.tui.shell.key_bar import KeyBar
from torchtty.tui.workers import WorkerPool

PATIENCE = 180.0  # seconds for torch to be imported, on a busy machine


class EstimatingPool(WorkerPool):
    """A pool whose worker has timed a step: a hundredth of a second."""

    def ensure(self) -> Any:
        return None

    def prepare(self, tree: Mapping[str, Any], given_up: Callable[[], bool], *fork: Any) -> dict[str, Any] | None:
        return {"parameters": 11_000, "memory": 1_000_000, "seconds_per_step": 0.01}


async def enter(app: Any, pilot: Any, path: str, text: str) -> FieldRow:
    row: FieldRow = app.screen.form.row(path)
    row.focus_editor()
    await until(pilot, lambda: row.has_focus_within)
    await pilot.press("ctrl+u", *(" " if key == " " else key for key in text))
    await until(pilot, lambda: row.text == text)
    return row


def line(app: Any, name: str) -> str:
    return str(app.screen.query_one(name, Static).content)


def text_of(screen: Any) -> str:
    return "\n".join(strip.text for strip in screen._compositor.render_strips())


def state_of(group: RunGroup) -> RunState:
    return group.status().state


async def test_ten_seeds_of_an_mlp_train_as_batched_models_and_fill_the_fan(
    torchtty: Any, wait_until: Callable[..., None]
) -> None:
    async with torchtty() as (app, pilot):
        app.screen.form.choose_recipe("names-mlp")
        for path, text in (
            ("training.max_steps", "6000"),
            ("training.batch_size", "8"),
            ("training.eval_interval", "1000"),
            ("training.log_interval", "100"),
            ("model.n_hidden", "16"),
            ("training.seed", "1..10"),
        ):
            await enter(app, pilot, path, text)
        assert app.screen.form.row("training.seed").several == 10
        await pilot.press("ctrl+t")
        await until(pilot, lambda: isinstance(app.screen, ExperimentsScreen))
        [group] = list_groups()
        fans: list[tuple[int, bool]] = []  # the points that were on the screen, and whether runs were still at work

        def look() -> bool:
            screen = app.screen
            if screen.results is not None and isinstance(screen.view.figure, Fan):
                points = sum(len(member.curves.get("train_loss", ())) for member in screen.results.members)
                fans.append((points, screen.results.status.state.is_live))
            return bool(fans) and not fans[-1][1]

        await until(pilot, look, PATIENCE)
        assert screen_members(app) == [f"{group.name}-seed-{seed}" for seed in range(1, 11)]
        assert len({points for points, live in fans if live}) > 1, "the fan did not grow while it trained"
        assert state_of(group) is RunState.FINISHED
        [sizes] = cut([10], cores())
        batched = [size > 1 for size in sizes for _ in range(size)]
        assert len(list((group.path / "batches").glob("*"))) == sum(size > 1 for size in sizes)
        curves = []
        for run, is_batched in zip(group.runs(), batched, strict=True):
            log = RunLog(run)
            log.read()
            backend = log.facts.backend
            assert backend is not None
            assert (backend.backend == "batched") == is_batched
            curves.append(tuple(value for _, value in log.metrics.points("train_loss")))
        assert len(set(curves)) == 10
        assert all(curve[-1] < curve[0] for curve in curves)


def screen_members(app: Any) -> list[str]:
    return [member.name for member in app.screen.results.members]


async def test_the_form_says_how_many_runs_and_how_before_anything_starts(torchtty: Any) -> None:
    async with torchtty(pool=EstimatingPool()) as (app, pilot):
        app.screen.form.choose_recipe("names-mlp")
        await enter(app, pilot, "training.max_steps", "500")
        await enter(app, pilot, "training.seed", "1..10")
        await until(pilot, lambda: line(app, "#estimate").startswith("10 runs · ≤ "))
        models = min(cores(), 10)
        assert line(app, "#sweep-line").startswith(
            "one batched model · " if models == 1 else f"{models} batched models at once · "
        )
        assert str(app.screen.query_one("#start").label) == "Sweep ^t"
        assert "^t sweep" in str(app.screen.query_one(KeyBar).render())
        await enter(app, pilot, "model.n_hidden", "16,32,64")
        await until(pilot, lambda: line(app, "#estimate").startswith("30 runs"))
        assert line(app, "#sweep-line").startswith(f"{max(3, cores())} batched models")
        assert "≡ seed" in text_of(app.screen)
        assert "×10" in text_of(app.screen)
        await enter(app, pilot, "model.n_hidden", "16")
        await enter(app, pilot, "training.seed", "1")
        await until(pilot, lambda: line(app, "#estimate").startswith("11,000 params"))
        assert str(app.screen.query_one("#start").label) == "Train ^t"
        assert "≡ seed" not in text_of(app.screen)
    assert list_groups() == []
    assert list_runs() == []


@pytest.mark.parametrize(
    ("path", "text", "problem"),
    [
        ("training.seed", "1..100000", "has more than 500 values, and a sweep has 500 runs at most"),
        ("training.seed", "9..1", "cannot be '9..1': a range goes from the lower number to the higher"),
        ("training.seed", "1,2,", "has a comma with no value beside it: write the value, or take the comma away"),
        ("training.seed", "3,3", "has 3 twice"),
        (
            "optimizer.learning_rate",
            "1e-4..1e-1",
            "is a range: say how many numbers of it, such as '1e-4..1e-1 lin 5', or list them",
        ),
        ("training.batch_size", "8,0", "cannot be '0': it takes a whole number from 1 to 65536"),
    ],
)
async def test_a_wrong_list_is_told_in_plain_words_and_starts_nothing(
    torchtty: Any, path: str, text: str, problem: str
) -> None:
    async with torchtty() as (app, pilot):
        row = await enter(app, pilot, path, text)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: app.told)
        assert row.problem == problem
        assert app.told == [f"{path} {problem}"]
        assert list_groups() == []


async def test_a_combination_that_cannot_be_is_named_at_the_setting_typed_last(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        await enter(app, pilot, "model.n_head", "2,4")
        await enter(app, pilot, "model.n_embd", "64,66")
        problems = app.screen.form.draft.problems()
        assert list(problems) == ["model.n_embd"]
        assert problems["model.n_embd"].startswith("A run with n_head 4, n_embd 66 is impossible: ")
        await enter(app, pilot, "model.n_embd", "64,68")
        assert app.screen.form.draft.problems() == {}


async def test_too_many_combinations_are_told_with_their_number(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        await enter(app, pilot, "training.seed", "1..50")
        await enter(app, pilot, "model.n_layer", "1..20")
        [problem] = app.screen.form.draft.problems().values()
        assert problem == "That would be 1,000 runs, and a sweep has 500 at most. Give fewer values"


async def test_a_comma_gives_a_list_and_a_switch_several_values(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        row = app.screen.form.row("optimizer.kind")
        row.focus_editor()
        await until(pilot, lambda: row.query(Select) and row.has_focus_within)
        await pilot.press("comma")
        await until(pilot, lambda: row.several > 2 and not row.query(Select) and row.has_focus_within)
        assert row.text.startswith("adamw,")
        await pilot.press("ctrl+u", *"sgd,adam")
        await until(pilot, lambda: row.several == 2)
        assert app.screen.form.draft.several == {"optimizer.kind": ("sgd", "adam")}
        assert app.screen.form.draft.value("optimizer.kind") == "sgd"
        await pilot.press("ctrl+u", *"adam", "tab")
        await until(pilot, lambda: row.several == 0 and bool(row.query(Select)))
        assert row.query_one(Select).value == "adam"
        row = app.screen.form.row("training.compile")
        row.focus_editor()
        await until(pilot, lambda: row.has_focus_within)
        await pilot.press("comma")
        await until(pilot, lambda: row.several == 2)


async def test_up_and_down_leave_several_values_as_they_are_and_a_reset_brings_one_back(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        row = await enter(app, pilot, "training.seed", "1..10")
        await pilot.press("up", "down")
        await pilot.pause()
        assert row.text == "1..10"
        await pilot.press("ctrl+z")
        await until(pilot, lambda: row.text == "1337" and row.several == 0)


async def test_the_key_of_a_grid_trains_all_of_its_runs_with_what_was_changed(torchtty: Any) -> None:
    async with torchtty(pool=EstimatingPool()) as (app, pilot):
        assert "^g" not in text_of(app.screen)
        app.screen.form.choose_recipe("a2-rnn-grid")
        await until(pilot, lambda: line(app, "#sweep-line") == "1 of 6 runs · ^g trains all: ≈ 15 s")
        await until(pilot, lambda: "^g all runs" in text_of(app.screen))
        await enter(app, pilot, "model.n_layer", "2")
        await until(pilot, lambda: line(app, "#sweep-line").startswith("1 of 3 runs"))
        row = await enter(app, pilot, "training.max_steps", "3")
        assert row.has_focus_within, "the key works in a field"
        await pilot.press("ctrl+g")
        await until(pilot, lambda: isinstance(app.screen, ExperimentsScreen))
        [group] = list_groups()
        assert group.name == "a2-rnn-grid-1"
        trees = [run.configuration().tree() for run in group.runs()]
        assert [tree["model"]["block_size"] for tree in trees] == [1, 2, 3]
        assert {(tree["model"]["n_layer"], tree["training"]["max_steps"]) for tree in trees} == {(2, 3)}
        group.stop()
        await until(pilot, lambda: not state_of(group).is_live, PATIENCE)


async def test_the_command_is_a_sweep_and_reads_back_to_the_same_runs(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        app.screen.form.choose_recipe("names-mlp")
        await enter(app, pilot, "optimizer.learning_rate", "1e-3..1e-1 log 3")
        await enter(app, pilot, "training.seed", "1..4")
        await enter(app, pilot, "model.n_hidden", "64")
        await pilot.press("ctrl+y")
        await until(pilot, lambda: isinstance(app.screen, CommandDialog))
        command = "torchtty sweep names-mlp --model.n_hidden 64 --optimizer.learning_rate '1e-3..1e-1 log 3' --training.seed 1..4"
        assert app.clipboard == command
        draft = app._train_screens()[0].form.draft
        _, _, *arguments = shlex.split(command)
        typed, _ = _planned(parse_argv(arguments), {}, None, grid_of_recipe=True)
        assert typed.variation.configurations(typed.tree) == draft.sweep().variation.configurations(draft.sweep().tree)


async def test_a_recipe_with_several_values_has_them_as_its_grid(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        app.screen.form.choose_recipe("names-mlp")
        await enter(app, pilot, "training.seed", "1..3")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: isinstance(app.screen, SaveRecipeDialog))
        await pilot.press(*"seeds", "enter")
        await until(pilot, lambda: "seeds" in app.screen.form.recipes)
        assert app.screen.form.recipes["seeds"].grid == {"training.seed": (1, 2, 3)}
        assert "Its 3 runs are its grid" in app.told[-1]
        await until(pilot, lambda: line(app, "#sweep-line") == "1 of 3 runs · ^g trains all")
        await enter(app, pilot, "data.limit", "none,500")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: isinstance(app.screen, SaveRecipeDialog))
        await pilot.press(*"limits", "enter")
        await until(pilot, lambda: "cannot have none among several values" in text_of(app.screen))


async def test_the_next_start_finds_several_values_as_they_were_left(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        await enter(app, pilot, "training.seed", "1..10")
        await enter(app, pilot, "model.n_embd", "16,24,")
    async with torchtty() as (app, _):
        form = app.screen.form
        assert form.row("training.seed").several == 10
        assert form.draft.text("model.n_embd") == "16,24,"
        assert list(form.draft.problems()) == ["model.n_embd"]
