"""Whether somebody can see a widget, so that nothing is drawn for nobody."""

from textual.widget import Widget


def is_seen(widget: Widget) -> bool:
    """Whether a widget is on the screen, and its screen under nothing that hides it."""
    return widget.is_attached and bool(widget.size) and _screen_is_seen(widget) and widget.is_on_screen


def _screen_is_seen(widget: Widget) -> bool:
    # Not `Screen.is_current`: that is also true of a screen that lies beneath an opaque one.
    stack = widget.app.screen_stack
    return widget.screen in stack and all(
        screen.styles.background.a < 1 for screen in stack[stack.index(widget.screen) + 1 :]
    )
