"""The lens nearest: for drawn pictures the nearest of those learnt from, and how near real ones lie to each other."""

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.events import Progress
from torchtty.engine.lenses.pictures import packed
from torchtty.engine.training.task import DrawsFromNoise

NEIGHBOURS = 4  # pictures shown beside a drawn one
REAL = 32  # real pictures whose own nearest are looked for
AT_ONCE = 2048  # pictures compared at once


def compute(task: DrawsFromNoise, options: Mapping[str, Any]) -> Generator[Progress, None, dict[str, Any]]:
    """Return `pictures`, rows of a drawn one and its NEIGHBOURS nearest, with their `distances` and `places` among the pictures.

    A distance is the root of the mean square difference of the pixels, in grey levels of 255. `real` are the sorted distances
    from REAL of the pictures to their nearest other one: a drawn picture that lies much nearer than these has been memorised.
    Raises `UserError` where the pictures learnt from are gone.
    """
    count = max(1, int(options.get("count", 8)))
    learnt = task.pictures_learnt_from()  # bytes (N, C, H, W)
    if len(learnt) < 2:
        raise UserError("There are fewer than two pictures to compare with.")
    seed = int(options.get("seed", 1))
    generator = torch.Generator().manual_seed(seed)
    drawn = task.pictures_of(torch.randn(count, task.noise_size, generator=generator))  # (count, H, W, C)
    some = torch.randperm(len(learnt), generator=generator)[:REAL]
    asked = torch.cat((torch.from_numpy(drawn).permute(0, 3, 1, 2), learnt[some.to(learnt.device)].cpu()))
    distances = torch.empty(len(asked), 0)
    places = torch.empty(len(asked), 0, dtype=torch.int64)
    keep = min(NEIGHBOURS + 1, len(learnt))  # a real one finds itself
    for first in range(0, len(learnt), AT_ONCE):
        yield Progress(done=first, total=len(learnt))
        part = learnt[first : first + AT_ONCE].cpu()
        found = torch.cat((distances, differences(asked, part)), 1)
        numbers = torch.arange(first, first + len(part)).expand(len(asked), -1)
        order = found.topk(min(keep, found.shape[1]), largest=False)
        distances = order.values
        places = torch.cat((places, numbers), 1).gather(1, order.indices)
    others = places[count:] != some[:, None]  # (REAL, keep)
    real = torch.where(others, distances[count:], torch.inf).min(1).values
    shown = min(NEIGHBOURS, keep)
    near = learnt[places[:count, :shown].flatten().to(learnt.device)].cpu().permute(0, 2, 3, 1).numpy()
    rows = np.concatenate((drawn[:, None], near.reshape(count, shown, *near.shape[1:])), 1)
    return {
        "count": count,
        "columns": shown + 1,
        "pictures": packed(rows.reshape(-1, *rows.shape[2:])),
        "distances": [[round(float(value), 3) for value in row[:shown]] for row in distances[:count]],
        "places": places[:count, :shown].tolist(),
        "real": sorted(round(float(value), 3) for value in real),
        "learnt_from": len(learnt),
    }


def differences(first: Tensor, second: Tensor) -> Tensor:
    """Return the root mean square differences (N, M) between pictures of bytes (N, C, H, W) and (M, C, H, W)."""
    a, b = first.flatten(1).double(), second.flatten(1).double()
    return (torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist") / a.shape[1] ** 0.5).float()
