"""The lens walk: the pictures on the way from one noise to another."""

import math
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchtty.engine.contract.run.events import Progress
from torchtty.engine.lenses.pictures import packed
from torchtty.engine.training.task import DrawsFromNoise


def compute(task: DrawsFromNoise, options: Mapping[str, Any]) -> Generator[Progress, None, dict[str, Any]]:
    """Return the `pictures` of `rows` walks of `frames` pictures each; every walk goes on where the last one ended.

    `angles` are those between the two noises of a walk, in degrees. `changes` (rows, frames - 1) says by how many grey levels of
    255 two neighbours differ on average, and `apart` the same for the two ends of each walk.
    """
    rows, frames = max(1, int(options.get("rows", 4))), max(2, int(options.get("frames", 8)))
    generator = torch.Generator().manual_seed(int(options.get("seed", 1)))
    ends = torch.randn(rows + 1, task.noise_size, generator=generator)
    drawn, angles = [], []
    for row in range(rows):
        yield Progress(done=row, total=rows)
        noise = torch.stack([between(ends[row], ends[row + 1], frame / (frames - 1)) for frame in range(frames)])
        drawn.append(task.pictures_of(noise))
        angles.append(round(math.degrees(_angle(ends[row], ends[row + 1])), 2))
    pictures = np.stack(drawn)  # (rows, frames, H, W, C)
    numbers = pictures.astype(np.float64)
    return {
        "rows": rows,
        "frames": frames,
        "pictures": packed(pictures.reshape(-1, *pictures.shape[2:])),
        "angles": angles,
        "changes": np.abs(np.diff(numbers, axis=1)).mean((2, 3, 4)).round(3).tolist(),
        "apart": np.abs(numbers[:, -1] - numbers[:, 0]).mean((1, 2, 3)).round(3).tolist(),
    }


def between(first: Tensor, last: Tensor, way: float) -> Tensor:
    """Return the noise (n,) at `way` from 0 to 1 along the arc between two (slerp; Shoemake, 1985; White, 2016).

    Noise of n numbers lies near a sphere of radius √n: a straight line would lead through its inside, where no picture was
    learnt from.
    """
    angle = _angle(first, last)
    if math.sin(angle) < 1e-6:
        return (1 - way) * first + way * last
    return (math.sin((1 - way) * angle) * first + math.sin(way * angle) * last) / math.sin(angle)


def _angle(first: Tensor, last: Tensor) -> float:
    cosine = torch.dot(first, last) / (first.norm() * last.norm())
    return math.acos(max(-1.0, min(1.0, float(cosine))))
