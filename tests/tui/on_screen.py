"""Reading the screen of an app under a pilot, and waiting until it shows something."""

import time


def screen_text(app):
    """Everything the screen shows, a line a row."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def shows(app, text):
    """A condition: the screen shows a text."""
    return lambda: text in screen_text(app)


async def until(pilot, condition, seconds=30.0):
    """Let the app work until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not come about in {seconds} s; the screen shows:\n{screen_text(pilot.app)}")
        await pilot.pause(0.02)
