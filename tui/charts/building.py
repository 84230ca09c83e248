"""Building frames off the UI thread, one at a time."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from time import thread_time

from torchtty.tui.charts.frame import Frame, FrameBuilder
from torchtty.tui.charts.picture import Picture

THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="charts")
"""All charts build here: plotext is not made for two threads, and charts shall never take two cores."""


async def built(builder: FrameBuilder, picture: Picture) -> tuple[Frame, float]:
    """Build a frame while the UI goes on, and return it with the processor time it took, in seconds."""
    return await asyncio.get_running_loop().run_in_executor(THREAD, _timed, builder, picture)


def _timed(builder: FrameBuilder, picture: Picture) -> tuple[Frame, float]:
    if any(len(series) for series in picture.series):
        import plotext  # noqa: F401  (not counted: its import would cost the next ten seconds' frames)

    began = thread_time()
    frame = builder.build(picture)
    return frame, thread_time() - began
