"""Frames have their exact size, show what they should, and need neither colours nor Unicode."""

import io
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from torchtty.tui.charts.frame import Frame, FrameBuilder
from torchtty.tui.charts.series import Series
from torchtty.tui.charts.spec import ChartSpec, Mark, Reference
from torchtty.tui.charts.style import ChartStyle

BRAILLE = re.compile("[⠁-⣿]")


def curve(name: str = "train", points: int = 2000, shift: float = 0.0, **options: bool) -> Series:
    series = Series(name, **options)
    steps = range(points)
    values = [1.5 + shift + 2 * math.exp(-i / 300) + 0.1 * math.sin(i * 1.7) for i in steps]
    series.extend(steps, values, {"seconds": [i * 0.01 for i in steps]})
    return series


def losses(width: int = 90, height: int = 20, **changes: object) -> ChartSpec:
    spec = ChartSpec(
        width, height, "loss", (curve(), curve("val", shift=0.2, smooth=False)),
        references=(Reference("chance", 3.5),), marks=(Mark(800, "lr 3e-4"),), x_max=3000, smoothing=60,
    )  # fmt: skip
    return replace(spec, **changes)


def text(frame: Frame) -> list[str]:
    return ["".join(run for run, _ in line) for line in frame.lines]


@pytest.mark.parametrize(
    "size", [(20, 5), (40, 8), (80, 24), (119, 33), (200, 60), (16, 5), (15, 4), (3, 2), (1, 1), (5, 1)]
)
@pytest.mark.parametrize(
    "style", [ChartStyle(), ChartStyle(unicode=False), ChartStyle(colour=False)], ids=["full", "ascii", "no colour"]
)
def test_a_frame_has_exactly_the_size_asked_for(size, style):
    for spec in (
        losses(*size, style=style),
        losses(*size, style=style, cursor=700),
        ChartSpec(*size, "loss", placeholder="soon"),
    ):
        lines = text(FrameBuilder().build(spec))
        assert len(lines) == size[1]
        assert {cell_len(line) for line in lines} == {size[0]}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60),
    st.integers(1, 60), st.integers(1, 16), st.booleans(), st.sampled_from([0.0, 5.0]),
)  # fmt: skip
def test_no_values_whatever_break_a_frame(values, width, height, log_y, smoothing):
    series = Series("any")
    series.extend(range(len(values)), values)
    spec = ChartSpec(width, height, "t", (series,), log_y=log_y, smoothing=smoothing)
    lines = text(FrameBuilder().build(spec))
    assert [len(line) for line in lines] == [width] * height


def test_the_curve_the_axes_the_reference_and_the_mark_are_there():
    lines = text(FrameBuilder().build(losses()))
    assert lines[0].startswith("loss   ── train 1.5")
    assert "── val 1." in lines[0]
    assert "chance 3.500" in lines[0]
    assert lines[1].endswith("↑ chance"), "it lies too far above to be worth the room"
    assert re.search(r"▲. up to 3\.", lines[1]), "so do the first points"
    assert "┊lr 3e-4" in lines[1]
    assert lines[-2].strip().startswith("└┬─")
    assert lines[-1].split() == ["0", "500", "1k", "1.5k", "2k", "2.5k", "3k"]
    # Two thirds of the x axis have been trained; the rest is empty.
    columns = {match.start() for line in lines[1:-2] for match in BRAILLE.finditer(line)}
    assert max(columns) == pytest.approx(5 + 85 * 2 / 3, abs=2)


def test_more_points_leave_the_axes_and_all_other_lines_where_they_are():
    builder, spec = FrameBuilder(), losses(smoothing=0)
    before = builder.build(spec)
    spec.series[0].append(2000, 1.55)
    after = builder.build(spec)
    assert before.area == after.area
    changed = [y for y, (old, new) in enumerate(zip(before.lines, after.lines, strict=True)) if old != new]
    assert len(changed) <= 3
    assert builder.build(spec) == after


def test_the_smoothed_part_that_was_drawn_does_not_change():
    builder, series = FrameBuilder(), curve(points=1000)
    spec = ChartSpec(90, 20, "loss", (series,), x_max=3000, smoothing=100)
    before = text(builder.build(spec))
    series.extend(range(1000, 1400), [1.5] * 400)
    after = text(builder.build(spec))
    drawn = 5 + 85 * 1000 // 3000 - 1
    assert [line[:drawn] for line in before[1:]] == [line[:drawn] for line in after[1:]]


def test_raw_points_are_paler_and_beneath_the_smoothed_curve():
    frame = FrameBuilder().build(
        ChartSpec(60, 12, "loss", (curve(),), smoothing=200, style=ChartStyle(backdrop="#000000"))
    )
    colours = {style.color.name for line in frame.lines[1:-2] for _, style in line if style.color}
    assert len(colours) == 2
    strengths = sorted(sum(int(name[i : i + 2], 16) for i in (1, 3, 5)) for name in colours)
    assert strengths[0] < strengths[1] / 2


def test_gaps_stay_blank():
    series = Series("loss")
    series.extend(range(100), [math.nan if 40 <= i < 60 else 1.0 + i / 100 for i in range(100)])
    frame = FrameBuilder().build(ChartSpec(105, 20, "loss", (series,), x_max=100))
    assert frame.area is not None
    left, width = frame.area.left, frame.area.width
    columns = {m.start() for line in text(frame)[1:-2] for m in BRAILLE.finditer(line)}
    assert not columns & set(range(left + width * 42 // 100, left + width * 58 // 100))
    assert columns & set(range(left, left + width * 40 // 100))


def test_ascii_frames_hold_nothing_but_ascii():
    lines = text(FrameBuilder().build(losses(style=ChartStyle(unicode=False))))
    assert all(line.isascii() for line in lines)
    assert "** train" in lines[0]
    assert "oo val" in lines[0]


def test_without_colours_curves_differ_by_marker():
    frame = FrameBuilder().build(losses(style=ChartStyle(colour=False), smoothing=0))
    assert all(style.color is None for line in frame.lines for _, style in line)
    body = "\n".join(text(frame)[1:])
    assert BRAILLE.search(body)
    assert "•" in body
    assert "•• val" in text(frame)[0]


def test_no_style_has_a_background():
    frame = FrameBuilder().build(losses(cursor=500))
    assert all(style.bgcolor is None for line in frame.lines for _, style in line)


def test_the_cursor_shows_the_values_at_its_step():
    spec = losses(cursor=1000, smoothing=0)
    line = text(FrameBuilder().build(spec))[0]
    series = spec.series[0]
    assert "step 1,000" in line
    assert f"train {series.value(1000):.3f}" in line


def test_legend_entries_that_do_not_fit_are_left_out():
    whole = text(FrameBuilder().build(losses()))[0]
    narrow = text(FrameBuilder().build(losses(width=40)))[0]
    assert "chance" in whole
    assert "val" in narrow
    assert "chance" not in narrow


def test_a_logarithmic_axis_leaves_out_what_it_cannot_show():
    series = Series("loss")
    series.extend(range(50), [10.0 ** -(i / 10) if i % 10 else 0.0 for i in range(50)])
    frame = FrameBuilder().build(ChartSpec(60, 15, "loss", (series,), log_y=True))
    assert frame.area is not None
    assert frame.area.y.log
    assert 0 < frame.area.y.low <= 10.0**-4.9


def test_an_empty_chart_says_what_will_appear():
    lines = text(FrameBuilder().build(ChartSpec(50, 9, "loss", placeholder="the loss appears here")))
    assert sum("the loss appears here" in line for line in lines) == 1


def test_titles_cannot_smuggle_control_characters_into_the_terminal():
    series = Series("evil", title="a\x1b[31mb\nc")
    series.append(0, 1.0)
    series.append(1, 2.0)
    spec = ChartSpec(60, 8, "x\x07", (series,), references=(Reference("r\x1b]0;t", 1.5),), marks=(Mark(0.5, "\x9bm"),))
    for line in text(FrameBuilder().build(spec)):
        assert line.isprintable()


def test_rich_prints_a_frame():
    output = io.StringIO()
    frame = FrameBuilder().build(losses(60, 10))
    Console(width=200, color_system=None, file=output).print(frame, end="")
    assert output.getvalue().splitlines() == text(frame)


def compared(**changes: object) -> ChartSpec:
    """A falling loss below three references, as the chart of a run shows it."""
    series = Series("train")
    series.extend(range(1000), [3.4 * 0.998**i + 1.0 for i in range(1000)])
    references = (Reference("chance", 3.3), Reference("unigram", 2.8), Reference("bigram", 2.4))
    spec = ChartSpec(90, 20, "", (series,), references, x_max=1000)
    return replace(spec, **changes)


@pytest.mark.parametrize("step", [0, 300, 900, 950, 985, 999])
def test_the_cursor_moves_no_label_and_hides_none(step):
    without = text(FrameBuilder().build(compared()))
    with_cursor = text(FrameBuilder().build(compared(cursor=step)))
    for title in ("chance", "unigram", "bigram"):
        places = [(y, line.index(title)) for y, line in enumerate(without[1:], 1) if title in line]
        assert places
        assert [(y, line.index(title)) for y, line in enumerate(with_cursor[1:], 1) if title in line] == places


@pytest.mark.parametrize("width", [50, 56, 60, 64, 70, 90])
def test_the_legend_names_as_many_curves_and_references_with_a_cursor_as_without(width):
    titles = ("train", "chance", "unigram", "bigram")
    without = text(FrameBuilder().build(compared(width=width)))
    with_cursor = text(FrameBuilder().build(compared(width=width, cursor=700)))
    named, named_with_cursor = ("".join(lines[:2]) for lines in (without, with_cursor))
    assert [title in named_with_cursor for title in titles] == [title in named for title in titles]
    assert "step 700" in "\n".join(with_cursor), "in the legend or, where that is full, on the x axis"


def test_the_cursors_step_on_the_x_axis_leaves_no_half_label():
    for step in range(100, 1000, 7):
        labels = text(FrameBuilder().build(compared(width=54, height=9, cursor=step)))[-1]
        assert f"step {step}" in labels
        assert set(labels.replace(f"step {step}", "").split()) <= {"0", "500", "1k"}


def test_a_mark_stands_where_its_step_was_on_every_axis_and_says_what_was_changed():
    steps = range(0, 2000, 10)
    train = Series("train")
    train.extend(
        steps, [3 - i / 1000 for i in steps], {"seconds": [i / 100 for i in steps], "tokens": [i * 10 for i in steps]}
    )
    edits = (Mark(470, "learning_rate 1e-3 → 8e-3", "learning_rate 8e-3"), Mark(480, "eval_interval 500 → 300"))
    places = []
    for coordinate in ("step", "seconds", "tokens"):
        spec = ChartSpec(80, 12, "loss", (train,), (Reference("chance", 3.3),), edits, coordinate, 2000, cursor=470)
        lines = text(FrameBuilder().build(spec))
        assert "┊ learning_rate 1e-3 → 8e-3 at 470" in lines[0]
        drawn = "\n".join(lines[1:4])
        assert "learning_rate 1e-3 → 8e-3" in drawn
        assert "eval_interval 500 → 300" in drawn, "the labels of neighbours stand below each other"
        assert {len(line) for line in lines} == {80}
        places.append(lines[-3].index("┊") / 80)
    assert max(places) - min(places) < 0.02, "a quarter of the way, whatever the axis counts"
    away = text(FrameBuilder().build(replace(spec, cursor=900)))
    assert "at 470" not in away[0]


def test_a_mark_without_room_is_written_at_its_left_or_in_short():
    train = curve(points=3000)
    late = ChartSpec(
        60, 10, "loss", (train,), marks=(Mark(2900, "learning_rate 1e-3 → 8e-3", "learning_rate 8e-3"),), x_max=3000
    )
    assert "learning_rate 1e-3 → 8e-3┊" in text(FrameBuilder().build(late))[1]
    narrow = text(FrameBuilder().build(replace(late, width=40, marks=(replace(late.marks[0], step=1000),))))
    assert "learning_rate 8e-3" in "".join(narrow[1:4])
    assert "→" not in "".join(narrow)
