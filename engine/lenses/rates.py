"""The lens rates: a sweep of the learning rate over decades on a copy, and the rate that it suggests (Smith, 2017, section 3.3).

Each step trains with a rate a little above the one before, on a batch of its own. The loss is smoothed as usual for such a sweep,
by an exponential mean corrected for its beginning. The rate suggested is that at which the smoothed loss falls fastest per decade;
the sweep ends once the loss is far above its best.
"""

import math
from collections.abc import Generator, Mapping
from typing import Any

import torch

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.events import Progress
from torchtty.engine.lenses.text import text_of, text_task
from torchtty.engine.training.language import LanguageTask
from torchtty.engine.training.optimizers import build_optimizer
from torchtty.engine.training.step import EagerStep

SMOOTHING = 0.9  # weight of the past in the smoothed loss
TOO_FAR = 3.0  # times the distance from the best to the first loss above which it has diverged
SKIPPED = 5  # steps at the beginning, whose smoothed loss still swings
DECADES = 1.0  # below the rate of the lowest loss, in which a rate is looked for
NEAR = 8  # steps to either side over which a slope is measured


def compute(task: Any, options: Mapping[str, Any]) -> Generator[Progress, None, dict[str, Any]]:
    """Return `rates`, `losses` and `smoothed` (N each), the `suggested` rate, the one of the lowest loss, and the run's own."""
    task = text_task(task)
    if not isinstance(task, LanguageTask):
        raise UserError("A model that counts has no learning rate to look for.")
    lowest, highest, steps = options["lowest"], options["highest"], options["steps"]
    if lowest >= highest:
        raise UserError(f"lowest is {lowest} and highest {highest}: the first must be below the second.")
    training = task.configuration.training
    if options["begin"] == "first weights":
        torch.manual_seed(training.seed)
        task.model = task.build_network().to(task.device)
    task.begin_anew()
    every, width = bool(task.model.predicts_every_position), int(task.model.block_size)  # type: ignore[arg-type]
    windows = task.windows.get("train")
    if windows is None:
        windows = text_of(task).windows("train", width, every).to(task.device)
    batches = torch.Generator(task.device).manual_seed(options["seed"])
    optimizer = build_optimizer(task.configuration.optimizer, task.model, task.device)
    descend = EagerStep(*task.descents({"": optimizer}))
    task.model.train()
    rates, losses, smoothed = [], [], []
    mean = 0.0
    for number in range(steps):
        if number % 5 == 0:
            yield Progress(done=number, total=steps)
        rate = lowest * (highest / lowest) ** (number / max(1, steps - 1))
        task.begin_anew()
        batch = windows.draw(min(training.batch_size, len(windows)), batches)
        own = task.rates(0)
        with torch.enable_grad():
            metrics = descend(batch, own._replace(learning_rate=rate), logged=False)
        loss = float(metrics["train_loss"])
        if not math.isfinite(loss):
            break
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        rates.append(float(f"{rate:.4g}"))
        losses.append(round(loss, 5))
        smoothed.append(round(mean / (1 - SMOOTHING ** (number + 1)), 5))
        best = min(smoothed)
        if number > SKIPPED and loss > best + TOO_FAR * max(0.3, losses[0] - best):
            break
    if len(rates) <= SKIPPED:
        raise UserError(
            f"Training diverged after {len(rates)} steps of the sweep: take a lower --lowest than {lowest}."
        )
    lowest_at = min(range(len(smoothed)), key=smoothed.__getitem__)
    suggested = steepest(rates, smoothed)
    return {
        "rates": rates,
        "losses": losses,
        "smoothed": smoothed,
        "suggested": suggested,
        "best": rates[lowest_at],
        "own": task.configuration.optimizer.learning_rate,
        "diverged": len(rates) < steps,
        "begin": options["begin"],
        "axis": options["axis"],
    }


def steepest(rates: list[float], smoothed: list[float]) -> float:
    """Return the rate with two digits at which the smoothed loss falls fastest against the logarithm of the rate.

    The slope at a step is that of the line through the neighbours on either side, within a decade below the lowest loss: a
    model that learns at every rate falls fastest at its first steps, whatever their rate was.
    """
    lowest_at = min(range(len(smoothed)), key=smoothed.__getitem__)
    logs = [math.log10(rate) for rate in rates]
    near = (at for at in range(min(SKIPPED, lowest_at), lowest_at + 1) if logs[at] >= logs[lowest_at] - DECADES)

    def slope(at: int) -> float:
        one, other = max(0, at - NEAR), min(len(rates) - 1, at + NEAR)
        return (smoothed[other] - smoothed[one]) / (logs[other] - logs[one]) if other > one else 0.0

    return float(f"{rates[min(near, key=slope)]:.2g}")
