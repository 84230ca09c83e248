"""The benchmarks measure what they say. Bars are asserted only where a busy machine cannot move the figure across one."""

import json
import math
import re
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from torchtty.engine.contract.run.directory import list_runs
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.bench import charts, headless, many_runs, opening, training, written_runs
from torchtty.tui.bench.environment import Environment
from torchtty.tui.bench.launches import figure_of
from torchtty.tui.bench.measurements import MEASUREMENTS, NAMES, Bar, Failure, Figure, measured
from torchtty.tui.bench.terminal import Terminal, TimedOut, plain_text
from torchtty.tui.bench.written_runs import begin, metric_lines
from torchtty.tui.cli.bench import bench
from torchtty.tui.cli.console import Exit, UsageError

EVERYTHING = frozenset(NAMES)
Both = tuple[Future[list[Figure]], Future[psutil.Process]]


def assert_sane(figures: list[Figure], names: set[str]) -> None:
    """Every figure is a number, positive unless it is a growth, and between its lowest and highest repetition."""
    assert {figure.name for figure in figures} == names
    for figure in figures:
        assert math.isfinite(figure.value)
        assert figure.value > 0 or figure.unit == "%" or "growth" in figure.what
        assert figure.bar is None or figure.met == figure.bar.met_by(figure.value)
        if figure.spread:
            assert figure.spread[0] <= figure.value <= figure.spread[1]
    json.dumps([figure.to_json() for figure in figures], allow_nan=False)


def test_every_name_belongs_to_a_measurement_and_every_measurement_can_be_called() -> None:
    assert frozenset.union(*(measurement.names for measurement in MEASUREMENTS)) == EVERYTHING
    for measurement in MEASUREMENTS:
        assert measurement.doing


def test_a_bar_is_met_on_its_own_side() -> None:
    assert Bar(0.5).met_by(0.5)
    assert not Bar(0.5).met_by(0.51)
    assert Bar(0.97, least=True).met_by(1.0)
    assert not Bar(0.97, least=True).met_by(0.96)


def test_a_figure_that_cannot_be_measured_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(wanted: frozenset[str], *, quick: bool) -> list[Figure]:
        raise TimedOut("nothing on the screen")

    monkeypatch.setattr(charts, "measure", broken)
    found = list(measured(["chart", "open"], quick=True))
    assert [type(item) for item in found] == [Failure, Figure]
    assert "nothing on the screen" in found[0].reason


def test_the_table_and_the_file_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    assert bench(["open"], str(file), quick=True) == Exit.DONE
    written = json.loads(file.read_text())
    assert written["machine"]["cores"] >= 1
    assert written["machine"]["torch"]
    (figure,) = written["figures"]
    shown = capsys.readouterr().out
    assert "opening a run of" in shown
    assert f"{figure['value']:.2f} s" in shown
    assert ("met" if figure["met"] else "missed") in shown


def test_an_unknown_measurement_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"nonsense.*start, train"):
        bench(["nonsense"], None, quick=True)


def test_text_of_a_terminal_loses_colours_and_keeps_lines_apart() -> None:
    written = b"\x1b[?1049h\x1b[1;1H\x1b[1;38;5;16mtrain\x1b[0m 1.84\x1b[2;1H\x1b]22;default\x07next\x1b[>25u"
    assert plain_text(written) == "\ntrain 1.84\nnext"


def test_a_terminal_answers_queries_and_notes_when_text_came() -> None:
    ask = "import sys,termios,tty,time; tty.setraw(0); print('\\x1b[6n', end='', flush=True); answer=sys.stdin.read(6)"
    with Environment() as environment:
        command = [sys.executable, "-c", f"{ask}; time.sleep(0.2); print('got', len(answer), flush=True)"]
        with Terminal(command, environment.variables) as terminal:
            at = terminal.wait_for(["got 6"], patience=30)
            assert at - terminal.spawned >= 0.2
        with pytest.raises(TimedOut, match="never"), Terminal(command, environment.variables) as terminal:
            terminal.wait_for(["never"], patience=0.1)
    assert terminal.process.poll() is not None


def test_a_written_run_is_read_as_a_run_of_a_worker(tmp_path: Path) -> None:
    run = begin(tmp_path, RunState.RUNNING, 10)
    run.metrics_path.write_bytes(metric_lines(1, 11, 20))
    assert list_runs(tmp_path) == [run]
    assert run.status().state is RunState.RUNNING
    row = json.loads(run.metrics_path.read_text().splitlines()[-1])
    assert row["step"] == 10
    assert len(row.keys() - {"step", "time", "tokens"}) == 20


def test_a_step_that_is_not_captured_misses_its_bar_and_says_why() -> None:
    found = {"family": "gpt", "eager": 113.0, "chosen": 0.56, "backend": "captured", "reason": "the quickest of two"}
    captured = figure_of(found)
    assert (captured.value, captured.met, captured.note) == (0.56, True, "113 for an eager one")
    eager = figure_of(found | {"chosen": 113.0, "backend": "eager", "reason": "captured: it cannot be"})
    assert (eager.value, eager.met, eager.note) == (113.0, False, "captured: it cannot be")


def test_opening_a_run_is_measured() -> None:
    assert_sane(written_runs.measure_opening(EVERYTHING, quick=True), {"open"})


def test_listing_many_runs_is_measured() -> None:
    assert_sane(many_runs.measure(EVERYTHING, quick=True), {"runs"})


def test_a_chart_of_many_points_is_measured_and_spares_the_ui_thread() -> None:
    figures = charts.measure(EVERYTHING, quick=True)
    assert_sane(figures, {"chart"})
    # Processor time, which other processes stretch two or threefold at most; the usual figure is 2 to 3 ms.
    assert figures[0].met


def test_growth_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written_runs, "SETTLE", 0.1)  # the figure may be coarser for it
    assert_sane(written_runs.measure_growth(EVERYTHING, quick=True), {"idle"})


def test_opening_the_app_is_measured_in_a_terminal() -> None:
    with Environment() as environment:
        assert 0 < opening.seconds_until_usable(environment) < 60


@pytest.fixture(scope="module")
def watched_and_prompted() -> Iterator[Both]:
    """An app that is measured, and beside it, in environment of its own, a run that is prompted.

    Both mostly wait: for torch to be imported, for seconds to pass. Neither's figures are held against a bar here.
    """
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor() as pool:
        patch.setattr(training, "SETTLE", 1.0)
        patch.setattr(training, "CATCH_UP", 0.4)
        patch.setattr(
            training, "end", lambda run: None
        )  # the app is ended with its worker, at once and not in good order
        patch.setattr(training, "LEAVE", b"")
        yield pool.submit(training.measure_app, EVERYTHING, quick=True), pool.submit(prompted)


def prompted() -> psutil.Process:
    """Prompt a run in mid-training; return its worker once all is over."""
    with Environment() as environment:
        run = environment.train("gpt", training.GPT)
        worker = psutil.Process(run.status().pid)
        assert 0 < training.first_token(run, "one") < 60
        assert run.status().state is RunState.RUNNING
    assert not environment.path.exists()
    return worker


@pytest.mark.timeout(300)
def test_the_first_token_is_measured_in_mid_training_and_what_trained_is_ended(watched_and_prompted: Both) -> None:
    assert not watched_and_prompted[1].result().is_running()


@pytest.mark.timeout(300)
def test_an_app_is_measured_while_it_idles_trains_and_is_looked_away_from(watched_and_prompted: Both) -> None:
    assert_sane(watched_and_prompted[0].result(), {"train", "bytes", "idle", "speed"})


@pytest.mark.timeout(300)
def test_the_loop_is_measured_against_a_plain_one_and_beside_a_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headless, "QUICK", ("0.2", "2"))
    monkeypatch.setattr(headless, "QUICK_BUSY", ("0.5", "1"))
    figures = headless.measure_plain_loop(EVERYTHING, quick=True)
    assert_sane(figures, {"speed"})
    against, beside = figures[:-2], figures[-2:]
    assert [re.findall(r"(MLP|GPT) with (\w+) \(([\d,]+)", figure.what)[0] for figure in against] == [
        ("MLP", "SGD", "12,319"),
        ("MLP", "AdamW", "12,319"),
        ("GPT", "AdamW", "104,477"),
        ("GPT", "AdamW", "826,471"),
    ]
    assert all(re.search(r"steps/s, \d threads? / \d+, float32", figure.note) for figure in against)
    assert all("beside a program that takes a core" in figure.what for figure in beside)
    assert re.match(r"steps/s: timed [\d.]+, 1 thread [\d.]+", beside[0].note)
