"""Grids of pictures, as PNG."""

import math
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from torchtty.engine.contract.run.events import GAP_KEY, TILE_KEY

GAP = 2  # pixels between two pictures


def to_bytes(pictures: Tensor) -> np.ndarray:
    """Turn pictures (N, C, H, W) between -1 and 1 into bytes (N, H, W, C)."""
    scaled = ((pictures.detach().float().clamp(-1, 1) + 1) * 127.5).round().byte()
    return scaled.permute(0, 2, 3, 1).cpu().numpy()


def grid_png(pictures: np.ndarray) -> bytes:
    """Draw pictures (N, H, W, C) of bytes as a grid, as square as their number allows, and return it as PNG."""
    count, height, width, channels = pictures.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = np.zeros((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, channels), np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // columns * (height + GAP), place % columns * (width + GAP)
        sheet[top : top + height, left : left + width] = picture
    about = PngInfo()
    about.add_text(TILE_KEY, str(height))
    about.add_text(GAP_KEY, str(GAP))
    stream = BytesIO()
    Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet).save(stream, "PNG", pnginfo=about)
    return stream.getvalue()
