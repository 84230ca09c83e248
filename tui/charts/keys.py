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


def _key(key: str, action: str, text: str, id: str, tooltip: str, *, show: bool = True) -> Binding:
    return Binding(key, action, text, show=show, id=f"chart.{id}", tooltip=tooltip)


BINDINGS: list[BindingType] = [
    _key("f", "full_screen", "full screen", "full_screen", FULL),
    _key("left", "cursor(-1)", "cursor", "cursor_left", EARLIER),
    _key("right", "cursor(1)", "cursor right", "cursor_right", LATER, show=False),
    _key("home", "cursor_end(0)", "first step", "cursor_home", FIRST, show=False),
    _key("end", "cursor_end(1)", "last step", "cursor_end", LAST, show=False),
    _key("plus,equals_sign", "zoom(1)", "zoom", "zoom_in", IN),
    _key("minus", "zoom(-1)", "zoom out", "zoom_out", OUT, show=False),
    _key("left_square_bracket", "pan(-1)", "pan left", "pan_left", "Move a zoomed x axis to the left", show=False),
    _key("right_square_bracket", "pan(1)", "pan right", "pan_right", "Move a zoomed x axis to the right", show=False),
    _key("z", "zoom_y(1)", "zoom y", "zoom_y_in", "Zoom in along the y axis", show=False),
    _key("Z", "zoom_y(-1)", "zoom out y", "zoom_y_out", "Zoom out along the y axis", show=False),
    _key("up", "pan_y(1)", "pan up", "pan_up", "Move a zoomed y axis up", show=False),
    _key("down", "pan_y(-1)", "pan down", "pan_down", "Move a zoomed y axis down", show=False),
    _key("0", "whole", "show all", "whole", PLAIN),
    _key("x", "next_x", "axis", "next_x", "X axis: step, time, tokens, epochs"),
    _key("u", "next_unit", "unit", "next_unit", UNIT),
    _key("l", "log_y", "log y", "log_y", "Switch the y axis between linear and logarithmic"),
    _key("L", "log_x", "log x", "log_x", "Switch the x axis between linear and logarithmic", show=False),
    _key("s", "smooth(-1)", "less smoothing", "smooth_less", "Smooth the curves less"),
    _key("S", "smooth(1)", "more smoothing", "smooth_more", "Smooth the curves more"),
    _key("1", "hide(0)", "hide curve", "hide_1", HIDE),
    *(_key(f"{n}", f"hide({n - 1})", "", f"hide_{n}", "", show=False) for n in range(2, 10)),
    _key("escape", "no_cursor", "no cursor", "no_cursor", "Hide the cursor", show=False),
]
