"""Charts as SVG and PNG: everything of the chart is in them, and nothing of theirs acts on whoever opens them."""

import io
import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from PIL import Image

from torchtty.engine.contract.errors import UserError
from torchtty.tui.charts.pictures import png, svg
from torchtty.tui.charts.plot import Plot, plot, text_width
from torchtty.tui.charts.series import Series
from torchtty.tui.charts.spec import ChartSpec, Mark, Reference
from torchtty.tui.charts.style import TRAIN, VALID

SVG = "{http://www.w3.org/2000/svg}"


def chart(points: int = 400, **changes: object) -> ChartSpec:
    train, val = Series("train_loss", "train", TRAIN), Series("val_loss", "val", VALID, smooth=False)
    for step in range(points):
        train.append(step, 1 + 2 * math.exp(-step / 80) + 0.1 * math.sin(step * 7), seconds=step / 10)
        if step % 50 == 0:
            val.append(step, 1.2 + 2 * math.exp(-step / 80), seconds=step / 10)
    about = {
        "title": "loss",
        "series": (train, val),
        "references": (Reference("chance", 3.3), Reference("bigram", 2.45)),
    }
    return ChartSpec(0, 0, **about | {"smoothing": 8.0, "marks": (Mark(200, "learning_rate 1e-3"),)} | changes)  # type: ignore[arg-type]


def texts(document: str) -> list[str]:
    return [str(node.text) for node in ElementTree.fromstring(document).iter(f"{SVG}text")]


def test_the_svg_holds_title_axes_legend_references_marks_and_every_curve() -> None:
    document = svg(plot(chart(), "nats", "one · GPT · names"))
    found = texts(document)
    for text in ("loss", "one · GPT · names", "chance 3.300", "bigram 2.450", "step", "nats",
                 "learning_rate 1e-3", "0", "200"):  # fmt: skip
        assert text in found, text
    assert any(text.startswith("train 1.") for text in found)
    assert any(text.startswith("val 1.") for text in found)
    curves = [
        node for node in ElementTree.fromstring(document).iter(f"{SVG}polyline") if "curve" in node.get("class", "")
    ]
    assert len(curves) == 2 + 4, "a sample in the legend each, train, its raw points, which leave the plot once, val"
    assert len(document) < 60_000


def test_a_curve_runs_where_its_points_are_and_its_reference_beside_it() -> None:
    flat = Series("a", "a", TRAIN, smooth=False)
    flat.extend([0, 50, 100], [2.0, 2.0, 2.0])
    picture = plot(ChartSpec(0, 0, "a", (flat,), (Reference("same", 2.0), Reference("more", 3.0))))
    (curve,) = (stroke for stroke in picture.strokes if stroke.tone == TRAIN and stroke.width == 2.0)
    same, more = (
        stroke.places[0][1] for stroke in picture.strokes if stroke.tone == "reference" and stroke.width == 1.2
    )
    assert {y for _, y in curve.places} == {same}
    assert more < same, "larger values stand higher"


def test_everything_lies_inside_the_picture_and_labels_do_not_overlap() -> None:
    close = tuple(Reference(f"reference {number}", 2.0 + number * 0.01) for number in range(4))
    many = tuple(Mark(step, "optimizer.learning_rate 1e-3") for step in (0, 100, 398))
    for spec in (
        chart(),
        chart(references=close, marks=many),
        chart(coordinate="seconds"),
        chart(log_y=True),
        chart(points=2),
    ):
        picture = plot(spec, "nats")
        assert_inside(picture)
        labels = [words for words in picture.words if words.text.startswith("reference ") and words.backed]
        heights = sorted(words.place[1] for words in labels)
        assert all(b - a >= labels[0].size for a, b in pairwise(heights))


def assert_inside(picture: Plot) -> None:
    for stroke in picture.strokes:
        assert all(0 <= x <= picture.width and 0 <= y <= picture.height for x, y in stroke.places), stroke
    for words in picture.words:
        wide, (x, y) = text_width(words.text, words.size), words.place
        if not words.upright:
            continue
        left = x - wide * {"start": 0, "middle": 0.5, "end": 1}[words.anchor]
        assert left >= 0, words
        assert left + wide <= picture.width, words
        assert words.size * 0.7 <= y <= picture.height, words


def test_raw_points_hide_no_curve() -> None:
    noisy = Series("b", "b", VALID)
    noisy.extend(list(range(400)), [2 + math.sin(step * 3) for step in range(400)])
    spec = chart()
    picture = plot(chart(series=(*spec.series[:1], noisy)))
    drawn = [stroke.faded for stroke in picture.strokes if stroke.tone in (TRAIN, VALID) and stroke.width < 3]
    assert drawn == [True, True, False, False]


def test_a_gap_parts_a_curve_and_a_single_point_is_a_dot() -> None:
    broken = Series("a", "a", TRAIN, smooth=False)
    broken.extend(list(range(6)), [1.0, 2.0, math.nan, math.nan, 3.0, 2.0])
    picture = plot(ChartSpec(0, 0, "a", (broken,)))
    assert len([stroke for stroke in picture.strokes if stroke.tone == TRAIN and stroke.width == 2.0]) == 2
    single = Series("b", "b", TRAIN)
    single.append(0, 1.0)
    assert b"PNG" in png(plot(ChartSpec(0, 0, "b", (single,))))[:8]
    with pytest.raises(UserError, match="There are no points to draw"):
        plot(ChartSpec(0, 0, "c", (Series("c"),)))


def test_an_svg_loads_and_runs_nothing_whatever_a_title_says() -> None:
    evil = chart(references=(Reference("<script>alert(1)</script>\x1b&", 3.0),), title="a]]><!--")
    document = svg(plot(evil, subtitle="\"'<x onload=y>"))
    root = ElementTree.fromstring(document)  # well-formed
    assert {node.tag.removeprefix(SVG) for node in root.iter()} == {"svg", "title", "style", "rect", "polyline", "text"}
    assert not re.search(r"@import|url\(|href", document)
    assert set(re.findall(r'https?://[^"\s]+', document)) == {"http://www.w3.org/2000/svg"}
    assert "\x1b" not in document


def test_the_png_shows_each_curve_in_its_colour_twice_as_fine() -> None:
    picture = Image.open(io.BytesIO(png(plot(chart(), "nats"))))
    assert picture.size == (1920, 1080)
    colours = {colour for _, colour in picture.getcolors(2**24)}
    for wanted in ((0xC3, 0x61, 0x32), (0x3E, 0x86, 0xB9), (255, 255, 255)):
        assert any(sum(abs(a - b) for a, b in zip(wanted, colour, strict=True)) < 12 for colour in colours)
    assert len(colours) > 200, "its edges are smooth"
