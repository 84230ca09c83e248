"""Inputs: their editing keys work in the order in which they are typed, and one is for screens where a run can be stopped."""

from textual.events import Key
from textual.widgets import Input


class OrderedInput(Input):
    """An input that works on its own keys as they arrive.

    Textual inserts a character at once, and has a key such as backspace bubble to the app, whose bindings it then looks up.
    What is typed fast, or arrives in one piece over a slow line, would overtake it.
    """

    async def _on_key(self, event: Key) -> None:  # Input's own is called after this one, as for every message
        if event.is_printable:
            return
        active = self.screen.active_bindings.get(event.key)
        if active is not None and active.node is self and active.enabled:
            event.stop()
            await self.app.run_action(active.binding.action, self)


class UncutInput(OrderedInput):
    """An input that leaves ctrl+x, elsewhere its key to cut, to the screen: there it stops the run."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return False if action == "cut" else super().check_action(action, parameters)
