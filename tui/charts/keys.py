"""The keys of a chart."""

from textual.binding import Binding, BindingType

EARLIER = "Move the cursor to an earlier step; the legend shows the values there"
LATER = "Move the cursor to a later step"
FIRST, LAST = "Move the cursor to the first step", "Move the cursor to the last step"
IN, OUT = "Zoom in around the cursor, or the middle; so does the mouse wheel", "Zoom out"
HIDE = "Hide the first curve, or show it again; 2 to 9 the others, and a click on its name"
FULL = "Give the chart the whole screen, or give that back"
UNIT = "Read losses in nats, bits per character or perplexity"
PLAIN = "Show everything again, after zooming"


def _key(key: str, action: str, text: str, tooltip: str, *, id: str, show: bool = True) -> Binding:
    return Binding(key, action, text, show=show, id=id, tooltip=tooltip)


BINDINGS: list[BindingType] = [
    _key("f", "full_screen", "full screen", FULL, id="chart.full_screen"),
    _key("left", "cursor(-1)", "cursor", EARLIER, id="chart.cursor_left"),
    _key("right", "cursor(1)", "cursor right", LATER, id="chart.cursor_right", show=False),
    _key("home", "cursor_end(0)", "first step", FIRST, id="chart.cursor_home", show=False),
    _key("end", "cursor_end(1)", "last step", LAST, id="chart.cursor_end", show=False),
    _key("plus,equals_sign", "zoom(1)", "zoom", IN, id="chart.zoom_in"),
    _key("minus", "zoom(-1)", "zoom out", OUT, id="chart.zoom_out", show=False),
    _key(
        "left_square_bracket",
        "pan(-1)",
        "pan left",
        "Move a zoomed x axis to the left",
        id="chart.pan_left",
        show=False,
    ),
    _key(
        "right_square_bracket",
        "pan(1)",
        "pan right",
        "Move a zoomed x axis to the right",
        id="chart.pan_right",
        show=False,
    ),
    _key("z", "zoom_y(1)", "zoom y", "Zoom in along the y axis", id="chart.zoom_y_in", show=False),
    _key("Z", "zoom_y(-1)", "zoom out y", "Zoom out along the y axis", id="chart.zoom_y_out", show=False),
    _key("up", "pan_y(1)", "pan up", "Move a zoomed y axis up", id="chart.pan_up", show=False),
    _key("down", "pan_y(-1)", "pan down", "Move a zoomed y axis down", id="chart.pan_down", show=False),
    _key("0", "whole", "show all", PLAIN, id="chart.whole"),
    _key("x", "next_x", "axis", "X axis: step, time, tokens, epochs", id="chart.next_x"),
    _key("u", "next_unit", "unit", UNIT, id="chart.next_unit"),
    _key("l", "log_y", "log y", "Switch the y axis between linear and logarithmic", id="chart.log_y"),
    _key("L", "log_x", "log x", "Switch the x axis between linear and logarithmic", id="chart.log_x", show=False),
    _key("s", "smooth(-1)", "less smoothing", "Smooth the curves less", id="chart.smooth_less"),
    _key("S", "smooth(1)", "more smoothing", "Smooth the curves more", id="chart.smooth_more"),
    _key("1", "hide(0)", "hide curve", HIDE, id="chart.hide_1"),
    *(_key(f"{n}", f"hide({n - 1})", "", "", id=f"chart.hide_{n}", show=False) for n in range(2, 10)),
    _key("escape", "no_cursor", "no cursor", "Hide the cursor", id="chart.no_cursor", show=False),
]
