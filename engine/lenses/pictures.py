"""Pictures in the result of a lens: bytes as base64, which a JSON object can carry."""

import base64
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def packed(pictures: NDArray[np.uint8]) -> dict[str, Any]:
    """Return pictures (N, H, W, C) as `shape` and `pixels`: base64 of picture after picture, row after row."""
    pixels = np.ascontiguousarray(pictures, dtype=np.uint8)
    return {"shape": list(pixels.shape), "pixels": base64.b64encode(pixels.tobytes()).decode("ascii")}


def unpacked(pictures: dict[str, Any]) -> NDArray[np.uint8]:
    """Return what `packed` was given."""
    return np.frombuffer(base64.b64decode(pictures["pixels"]), np.uint8).reshape(pictures["shape"])


def stretched(maps: Tensor) -> NDArray[np.uint8]:
    """Turn maps (N, H, W) of any numbers into grey pictures (N, H, W, 1), each from its least number, black, to its greatest."""
    flat = maps.detach().float().cpu().flatten(1)  # (N, H*W)
    low, high = flat.min(1, keepdim=True).values, flat.max(1, keepdim=True).values
    scaled = torch.where(high > low, (flat - low) / (high - low).clamp_min(1e-30), 0.5)
    return (scaled * 255).round().byte().view(*maps.shape, 1).numpy()


def signed(filters: Tensor) -> NDArray[np.uint8]:
    """Turn filters (N, H, W, C) into pictures on one scale, on which 0 is the middle grey and the largest of all black or white."""
    numbers = filters.detach().float().cpu()
    return (127.5 + numbers / numbers.abs().max().clamp_min(1e-30) * 127.5).round().byte().numpy()
