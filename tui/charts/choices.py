"""What a person can choose in a chart: how strongly curves are smoothed, and what is counted along x."""

from torchtty.tui.charts.axes import nice_step
from torchtty.tui.charts.picture import Picture
from torchtty.tui.charts.series import STEP

SMOOTHINGS = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""The time constants on offer, as parts of the x axis."""

COORDINATES = (STEP, "seconds", "tokens")


def next_smoothing(share: float, by: int) -> float:
    """Return the time constant on offer that is `by` places from the one nearest to `share`."""
    nearest = min(range(len(SMOOTHINGS)), key=lambda i: abs(SMOOTHINGS[i] - share))
    return SMOOTHINGS[min(max(nearest + by, 0), len(SMOOTHINGS) - 1)]


def time_constant(share: float, picture: Picture) -> float:
    """Return a smoothing in steps: a part of the x axis where its end is known, else of a nice number above the last step."""
    end = picture.x_max or 0.0
    if not end:
        last = max((bounds[1] for series in picture.series if (bounds := series.bounds())), default=0.0)
        end = nice_step(last, 1) if last > 0 else 0.0
    return share * end


def next_coordinate(picture: Picture) -> str:
    """Return the next coordinate that every series has."""
    having = [set(series.coordinates) for series in picture.series if len(series)]
    common = set.intersection(*having) if having else {STEP}
    offered = [name for name in COORDINATES if name in common]
    at = offered.index(picture.coordinate) if picture.coordinate in offered else -1
    return offered[(at + 1) % len(offered)]
