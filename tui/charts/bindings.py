"""The keys of a chart."""

from textual.binding import Binding, BindingType

BINDINGS: list[BindingType] = [
    Binding("l", "log_y", "Log y", id="chart.log_y", tooltip="Draw the values on a logarithmic axis, or back"),
    Binding("x", "next_x", "X axis", id="chart.next_x", tooltip="Count along x by step, by time or by tokens"),
    Binding("s", "smooth(-1)", "Smooth less", id="chart.smooth_less", tooltip="Smooth the curves less"),
    Binding("S", "smooth(1)", "Smooth more", id="chart.smooth_more", tooltip="Smooth the curves more"),
    Binding(
        "left",
        "cursor(-1)",
        "Cursor",
        id="chart.cursor_left",
        tooltip="Move the cursor to an earlier step and read the values there",
    ),
    Binding(
        "right",
        "cursor(1)",
        "Cursor right",
        show=False,
        id="chart.cursor_right",
        tooltip="Move the cursor to a later step",
    ),
    Binding(
        "home",
        "cursor_end(0)",
        "First step",
        show=False,
        id="chart.cursor_home",
        tooltip="Move the cursor to the first step",
    ),
    Binding(
        "end",
        "cursor_end(1)",
        "Last step",
        show=False,
        id="chart.cursor_end",
        tooltip="Move the cursor to the last step",
    ),
    Binding(
        "escape",
        "no_cursor",
        "No cursor",
        show=False,
        id="chart.no_cursor",
        tooltip="Take the cursor away",
    ),
]
