"""Which field mattered: a bar for each setting, with what chance alone would give and the mean of each of its values."""

from dataclasses import dataclass

from torchtty.engine.contract.experiments.comparison import Mattered, which_mattered
from torchtty.engine.contract.experiments.results import Results
from torchtty.engine.contract.experiments.summaries import title_of
from torchtty.engine.contract.experiments.tables import written
from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.figure import Cursor, Drawing
from torchtty.tui.charts.style import ChartStyle, Line, colour
from torchtty.tui.experiments.choices import Choices

LONGEST = 60  # cells of a bar
LINES = 3  # of a setting


@dataclass(frozen=True)
class Bars:
    """The share of the variance that each setting explains; the cursor goes from one to the next."""

    entries: tuple[Mattered, ...]
    metric: str

    def moved(self, cursor: Cursor | None, right: int, down: int) -> Cursor | None:
        return min(max((cursor or (0, 0))[0] + (down or right if cursor else 0), 0), len(self.entries) - 1), 0

    def reading(self, cursor: Cursor) -> str:
        entry = self.entries[min(cursor[0], len(self.entries) - 1)]
        return f"{entry.name}: " + " · ".join(f"{name} {written(mean)} (n {runs})" for name, mean, runs in entry.groups)

    def draw(self, width: int, height: int | None, cursor: Cursor | None, style: ChartStyle) -> Drawing:
        label = max(len(entry.name) for entry in self.entries) + 1
        room = max(10, min(LONGEST, width - label - 22))
        full, empty, mark = ("█", "·", "┃") if style.unicode else ("#", ".", "|")
        lines: list[Line] = [
            ((f"share of the differences in {printable_line(self.metric)} that a setting explains →", style.axis),),
            ((f"{'':{label}}0 %{'':{room - 8}}100 %   {mark} by chance alone", style.axis),),
        ]
        owners = [-1, -1]
        first = max(0, min((cursor[0] if cursor else 0) - 1, len(self.entries) - max(1, ((height or 99) - 2) // LINES)))
        for number, entry in enumerate(self.entries[first:], first):
            here = cursor is not None and cursor[0] == number
            filled, chance = round(entry.share * room), min(room - 1, round(entry.by_chance * room))
            bar = full * filled + empty * (room - filled)
            tone = style.curve(colour(number))
            lines.append(
                (
                    (f"{printable_line(entry.name):{label}}", style.cursor if here else style.label),
                    (bar[:chance], tone),
                    (mark, style.mark),
                    (bar[chance + 1 :], tone),
                    (f" {entry.share:>5.0%}  (chance {entry.by_chance:.0%})", style.label),
                )
            )
            means = " · ".join(f"{name}: {written(mean)}" for name, mean, _ in entry.groups)
            lines += [((f"{'':{label}}{printable_line(means)}"[:width], style.axis),), (("", style.axis),)]
            owners += [number] * LINES
        return Drawing(tuple(lines), lambda _x, y: (owners[y], 0) if 0 <= y < len(owners) and owners[y] >= 0 else None)


def bars_of(results: Results, choices: Choices) -> Bars | str:
    """Return the bars of a group, or why there are none."""
    found = which_mattered(results, choices.metric, choices.at)
    if not found:
        if not [path for path in results.fields if path != "training.seed"]:
            return (
                "The runs differ in their seed alone: no setting can have mattered. 1 shows how far the seeds scatter."
            )
        return "Three runs with a result are needed to say what mattered: they are still on their way."
    return Bars(tuple(found), title_of(results, choices.metric))
