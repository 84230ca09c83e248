"""The keys of a run: those that steer it, and those of its place on the screen."""

from textual.binding import Binding, BindingType

STEERING: list[BindingType] = [
    Binding("space", "pause", "pause", id="run.pause", tooltip="Pause the run between two steps"),
    Binding("space", "continue", "continue", id="run.continue", tooltip="Continue the paused run"),
    Binding("ctrl+x", "stop", "stop", id="run.stop", tooltip="Stop the run; it keeps a checkpoint and can be resumed"),
    Binding("r", "resume", "resume", id="run.resume", tooltip="Resume a run that is over, with more steps if you like"),
]

BINDINGS: list[BindingType] = [
    *STEERING[:2],
    Binding(
        "ctrl+s",
        "prompt",
        "sample",
        id="run.prompt",
        tooltip="Write a prompt and draw a sample from the model as it is now",
    ),
    Binding(
        "c",
        "next_chart",
        "chart",
        id="run.next_chart",
        tooltip="Show the next chart: loss, learning rate, gradient norm, speed",
    ),
    *STEERING[2:],
    Binding("ctrl+y", "copy", "copy", id="run.copy", show=False, tooltip="Copy the latest sample"),
    Binding(
        "w",
        "write",
        "write samples",
        id="run.write",
        show=False,
        tooltip="Write all samples into a file in the run's folder",
    ),
    Binding(
        "escape",
        "cancel",
        "break off",
        id="run.cancel",
        show=False,
        tooltip="Break off the sample that is being drawn",
    ),
]
