"""How layers are laid out: names within names, and as many columns as there is room for."""

from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from torchtty.engine.contract.lenses import lens_named
from torchtty.tui.format import fine_duration
from torchtty.tui.lenses.view import rendered


def layer(name: str, kind: str, depth: int, calls: int = 1, backward: float | None = 2e-4) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "depth": depth,
        "inputs": [[32, 1, 64, 64]],
        "outputs": [[32, 64, 32, 32], [4]],
        "parameters": 1_048_576 if backward else 0,
        "parameter_bytes": 4_194_304 if backward else 0,
        "output_bytes": 8_388_624,
        "forward_seconds": 0.00128,
        "backward_seconds": backward,
        "calls": calls,
    }


LAYERS = [
    layer("", "Game", 0),
    layer("judge", "Judge", 1, calls=2),
    layer("judge.layers", "Sequential", 2),
    layer("judge.layers.0", "Conv2d", 3),
    layer("judge.layers.1", "Identity", 3, backward=None),
    layer("painter", "Painter", 1),
]
RESULT = {"layers": LAYERS, "totals": LAYERS[0], "batch": [[32, 100], [32, 1, 64, 64]], "device": "cpu"}


def lines(width: int) -> list[str]:
    console = Console(width=width, color_system=None)
    view = rendered(lens_named("shapes"), RESULT, width)
    with console.capture() as capture:
        console.print(view.heading)
        console.print(view.body)
    return capture.get().splitlines()


def test_a_layer_is_named_within_the_one_around_it() -> None:
    names = [line[:17].rstrip() for line in lines(140)[-6:]]
    assert names == ["model", "  judge ×2", "    layers", "      0 Conv2d", "      1 Identity", "  painter"]


def test_all_columns_are_there_where_there_is_room() -> None:
    found = lines(140)
    titles = "layer type input output parameters weights memory forward backward"
    assert titles.split() in [line.split() for line in found]
    identity = next(line for line in found if "1 Identity" in line)
    assert identity.split()[2:] == [
        *("Identity", "32×1×64×64", "32×64×32×32", "+1", "–", "–", "8.4", "MB", "1.28", "ms", "–"),
    ]


@pytest.mark.parametrize("width", range(60, 141, 4))
def test_a_line_is_never_wider_than_its_place(width: int) -> None:
    found = lines(width)
    assert all(cell_len(line) <= width for line in found)
    assert all(title in "".join(found) for title in ("output", "parameters", "forward", "backward"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (8.34e-6, "8.3 µs"),
        (0.000118, "118 µs"),
        (0.0009999, "1.00 ms"),
        (0.01284, "12.8 ms"),
        (2.4, "2.40 s"),
        (None, "–"),
    ],
)
def test_short_times(seconds: float | None, text: str) -> None:
    assert fine_duration(seconds) == text


def test_a_short_name_takes_no_room_from_the_columns() -> None:
    one = RESULT | {"layers": [LAYERS[0]]}
    for width in range(60, 141):
        console = Console(width=width, color_system=None)
        view = rendered(lens_named("shapes"), one, width)
        with console.capture() as capture:
            console.print(view.body)
        assert len(capture.get().splitlines()) == 1, width
