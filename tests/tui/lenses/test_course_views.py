"""How the lenses of attention, prediction, tokens, gradients and pictures are laid out, from what the engine computes."""

import json
from functools import cache
from importlib import import_module
from typing import Any

import pytest
import torch
from rich.cells import cell_len
from rich.console import Console

from torchtty.engine.contract.lenses import lens_named, lenses_for
from torchtty.engine.contract.run.directory import create
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.lenses.subject import Moment, set_apart
from torchtty.engine.training.task import build_task
from torchtty.tui.charts.figure import as_text
from torchtty.tui.charts.style import ChartStyle
from torchtty.tui.lenses.picture_rows import PictureRows
from torchtty.tui.lenses.view import View, rendered

TINY = {
    "gpt": {"model.n_layer": "2", "model.n_embd": "8", "model.n_head": "2", "model.block_size": "8"},
    "rnn": {"model.n_hidden": "6", "model.block_size": "12"},
    "wavenet": {"model.n_hidden": "8"},
    "dcgan": {"model.n_generator": "4", "model.n_discriminator": "4", "training.batch_size": "4", "data.limit": "20"},
}
SHOWN: dict[str, tuple[str, dict[str, Any]]] = {
    "attention": ("gpt", {"text": "anna", "layer": 2, "head": 2}),
    "buildup": ("gpt", {"text": "anna", "version": "matrix"}),
    "prediction": ("gpt", {"text": "annabella"}),
    "tokens": ("gpt", {"text": "anna and bob"}),
    "bptt": ("rnn", {"text": "annabella"}),
    "shapes": ("wavenet", {"steps": True}),
    "rates": ("wavenet", {"steps": 30, "axis": "rate"}),
    "filters": ("dcgan", {"layer": "discriminator.layers.0"}),
    "walk": ("dcgan", {"rows": 2, "frames": 5}),
    "initial": ("wavenet", {}),
    "nearest": ("dcgan", {"count": 2}),
}


@cache
def result(name: str) -> dict[str, Any]:
    kind, given = SHOWN[name]
    task = build_task(with_flags(starting_tree(kind), TINY[kind] | {"training.device": "cpu"}))
    options = lens_named(name).complete(given)
    return followed(import_module(f"torchtty.engine.lenses.{name}").compute(task, options))


def followed(steps: Any) -> dict[str, Any]:
    """Go through a computation; return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: dict[str, Any] = end.value
            return found


def view(name: str, width: int = 100, **changed: Any) -> View:
    return rendered(lens_named(name), result(name) | changed, width)


def lines(name: str, width: int, **changed: Any) -> list[str]:
    """What the command line prints."""
    shown = view(name, width, **changed)
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(shown.heading)
        if shown.figure is not None:
            drawn = shown.figure.draw(width, None, None, ChartStyle(colour=False))
            console.print(as_text(drawn), no_wrap=True, overflow="crop", crop=True)
        if shown.body:
            console.print(shown.body)
    return capture.get().splitlines()


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("width", [60, 79, 120, 160])
def test_it_fits_every_width(name: str, width: int) -> None:
    found = lines(name, width)
    assert len(found) > 3
    assert max(cell_len(line) for line in found) <= width


@pytest.mark.parametrize("name", [name for name in SHOWN if name not in ("tokens", "shapes")])
@pytest.mark.parametrize("size", [(56, 8), (79, 16), (150, 36)])
def test_a_figure_fits_its_place_and_its_cursor_reads_every_corner(name: str, size: tuple[int, int]) -> None:
    figure = view(name, size[0]).figure
    assert figure is not None
    for style in (ChartStyle(), ChartStyle(colour=False), ChartStyle(colour=False, unicode=False)):
        cursor = figure.moved(None, 0, 0)
        for right, down in ((0, 0), (999, 0), (0, 999), (-999, 0)):
            cursor = figure.moved(cursor, right, down)
            assert cursor is not None
            assert figure.reading(cursor)
            drawing = figure.draw(*size, cursor, style)
            assert len(drawing.lines) <= size[1]
            assert all(sum(cell_len(text) for text, _ in line) <= size[0] for line in drawing.lines[1:])


def test_attention_reads_who_looks_at_whom() -> None:
    figure = view("attention").figure
    assert figure is not None
    weight = result("attention")["weights"][1][3][1]
    assert figure.reading((3, 1)) == f"n (place 4) looks at a (2)  {weight:.2f}"
    heading = lines("attention", 120)[0]
    assert heading.startswith("layer 2 of 2, head 2 of 2 · blocks.1.attention · d_k 4 · masked")


def test_the_build_up_says_what_equals_what() -> None:
    found = "\n".join(lines("buildup", 120))
    assert "2 a matrix of weights" in found
    assert " from a loop of averages" in found
    assert " from torch's kernel" in found
    figure = view("buildup").figure
    assert figure is not None
    assert figure.reading((1, 0)).startswith("y[a] takes 0.50 of .")


def test_prediction_reads_the_distribution_and_compares_with_counting() -> None:
    figure = view("prediction").figure
    assert figure is not None
    position = result("prediction")["positions"][0]
    read = figure.reading((0, 0))
    assert read.startswith("a ")
    assert f"rank {position['rank']} · likeliest {position['likeliest'][0][0]} " in read
    assert "single tokens" in figure.reading((2, 0))
    found = lines("prediction", 100)
    assert [line.split()[0] for line in found[:4]] == ["model", "pairs", "single", "chance"]
    narrow = lines("prediction", 72)
    nats = result("prediction")["totals"]["model"]["nats"]
    assert narrow[0].startswith(f"model {nats:.3f} nats, ")
    assert narrow[1].startswith("pairs counted ")
    assert ".annabella." in found


def test_a_first_loss_that_is_no_number_is_called_so() -> None:
    found = lines("initial", 100, loss=None, now=None, verdict="no number")
    assert "first loss no number against chance 3.3673: no number · now no number" in found[0]
    assert "overflows" in found[1]


def test_a_scale_says_what_its_numbers_are() -> None:
    for name, measure in (("attention", "weight"), ("prediction", "bits of surprise"), ("initial", "probability")):
        assert any(line.rstrip().endswith(f"  {measure}") for line in lines(name, 100)), name


def test_infinite_surprise_is_said() -> None:
    position = result("prediction")["positions"][0] | {"probability": 0.0, "bits": None}
    totals = result("prediction")["totals"] | {"model": {"nats": None, "bits": None, "bits_per_character": None}}
    figure = view("prediction", positions=[position], totals=totals).figure
    assert figure is not None
    assert figure.reading((0, 0)).startswith("a infinitely many bits, p 0,")
    assert lines("prediction", 80, positions=[position], totals=totals)


def test_tokens_stand_apart_without_colour_too() -> None:
    found = lines("tokens", 120)
    assert "a|n|n|a|a|n|d|b|o|b" in found, "the names' letters know no space"
    words = next(line for line in found if line.startswith("words"))
    assert "vocabulary 12,462" in words
    assert "anna|and|bob" in [line.replace("<unk>", "and") for line in found]


def test_gradients_by_hand_stand_beside_autograds() -> None:
    found = lines("bptt", 120)
    assert "all gradients equal to autograd's" in " ".join("".join(found[:2]).split())
    figure = view("bptt").figure
    assert figure is not None
    number = result("bptt")["gradient"]["by_hand"][2][3]
    assert figure.reading((2, 3)).startswith(f"h2, h3  by hand {number:.9f}  autograd {number:.9f}  apart ")
    wrong = [parameter | {"difference": 1e-3} for parameter in result("bptt")["parameters"]]
    assert "NOT equal to autograd's" in " ".join(lines("bptt", 160, parameters=wrong)[:2])


def test_step_by_step_a_layer_stands_above_its_operations() -> None:
    found = [line.split() for line in lines("shapes", 120)]
    at = found.index(["levels.0.fuse"])
    assert found[at + 1] == ["unflatten(1,", "(-1,", "2))", "32×8×10", "→", "32×4×2×10"]
    assert found[at + 2] == ["flatten(2)", "32×4×2×10", "→", "32×4×20"]


def test_pictures_are_scrolled_to_the_cursor_and_clicked() -> None:
    figure = view("walk").figure
    assert isinstance(figure, PictureRows)
    assert "rows 2-2 of 2" in "".join(text for text, _ in figure.draw(100, 8, (1, 4), ChartStyle()).lines[0])
    drawing = figure.draw(40, 8, (1, 4), ChartStyle())
    assert drawing.at(30, 4) == (1, 4)
    assert drawing.at(2, 4) == (1, 2)
    assert drawing.at(2, 0) is None
    assert "100% of the way" in figure.reading((1, 4))
    head = "".join(text for text, _ in figure.draw(40, 8, None, ChartStyle()).lines[0])
    assert head.endswith("…  rows 1-1 of 2  columns 1-3 of 5"), (
        "what is out of sight is said also where the caption has no room"
    )


@pytest.mark.parametrize(("show", "read"), [("filters", "filter 1"), ("maps", "map 1"), ("numbers", "map 1 at row 0")])
def test_filters_maps_and_numbers(show: str, read: str) -> None:
    figure = view("filters", show=show).figure
    assert figure is not None
    first = (0, 1) if show == "maps" else (0, 0)
    assert figure.reading(first).startswith(read)


def test_a_sweep_is_drawn_over_the_rate_itself_or_over_its_exponent() -> None:
    rates = result("rates")["rates"]
    middle = len(rates) // 2  # of a sweep in even steps of the exponent
    over_rate, over_exponent = view("rates").figure, view("rates", axis="exponent").figure
    assert over_rate is not None
    assert over_exponent is not None
    style = ChartStyle(colour=False)
    assert over_exponent.reading((middle, 0)) == over_rate.reading((middle, 0))
    curves = (over_rate.draw(100, 16, None, style), over_exponent.draw(100, 16, None, style))
    last = [str(as_text(curve)).splitlines()[-1].strip() for curve in curves]
    assert last == ["learning rate", "learning rate, by its exponent"]
    here, there = (plot.draw(100, 16, (middle, 0), ChartStyle(colour=False)) for plot in (over_rate, over_exponent))
    spots = [
        max(line.find("●") for line in str(as_text(drawing)).splitlines()[1:]) - 9  # beside the y axis
        for drawing in (here, there)
    ]
    assert spots[0] == pytest.approx(90 * (rates[middle] - rates[0]) / (rates[-1] - rates[0]), abs=1.5)
    assert spots[1] == pytest.approx(90 * middle / (len(rates) - 1), abs=1.5)


@pytest.mark.parametrize("kind", ["gpt", "rnn", "wavenet", "dcgan"])
def test_numbers_that_overflow_are_shown_as_none(kind: str) -> None:
    task = build_task(with_flags(starting_tree(kind), TINY[kind] | {"training.device": "cpu"}))
    with torch.no_grad():
        for weight in task.model.parameters():  # type: ignore[attr-defined]
            weight.mul_(1e30)
    run = create(task.configuration)  # type: ignore[attr-defined]
    for lens in lenses_for(FAMILIES[kind], task.configuration.model):  # type: ignore[attr-defined]
        if lens.name == "samples":
            continue  # refuses what is no number
        kinds = next((spec.choices for spec in lens.own_options if spec.name == "show"), ()) or ("",)
        for show in kinds:
            compute = import_module(f"torchtty.engine.lenses.{lens.name}").compute
            more = (Moment(run, 1),) if lens.reads_checkpoints else ()
            found = followed(compute(set_apart(task), lens.complete({"show": show} if show else {}), *more))
            found = json.loads(json.dumps(found))
            shown = rendered(lens, found, 79)
            console = Console(width=79)
            with console.capture():
                console.print(shown.heading, shown.body)
            if shown.figure is not None:
                cursor = shown.figure.moved(None, 0, 0)
                for right, down in ((0, 0), (999, 0), (0, 999)):
                    cursor = shown.figure.moved(cursor, right, down)
                    shown.figure.draw(79, 12, cursor, ChartStyle())
                    assert cursor is None or shown.figure.reading(cursor)
