"""An input for screens on which a run can be stopped."""

from textual.widgets import Input


class UncutInput(Input):
    """An input that leaves ctrl+x, elsewhere its key to cut, to the screen: there it stops the run."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return False if action == "cut" else super().check_action(action, parameters)
