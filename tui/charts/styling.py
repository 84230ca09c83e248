"""The look that an app's theme and a chart's style sheet ask for."""

from rich.style import Style
from textual.color import Color
from textual.widget import Widget

from torchtty.tui.charts.look import Look, terminal_shows_unicode


def look_of(chart: Widget) -> Look:
    """Return the look that a chart's style sheet and its app ask for."""

    def style(part: str) -> Style:
        # Only the foreground: the chart takes whatever background it is put on.
        found = chart.get_component_rich_style(f"chart--{part}")
        return Style(color=found.color, bold=found.bold, dim=found.dim)

    backdrop: Color = chart.background_colors[1]
    return Look(
        title=style("title"),
        label=style("label"),
        axis=style("axis"),
        reference=style("reference"),
        mark=style("mark"),
        cursor=style("cursor"),
        backdrop=None if backdrop.ansi is not None else backdrop.hex6,
        colour=not chart.app.no_color,
        unicode=terminal_shows_unicode(),
    )
