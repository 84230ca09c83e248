"""The least app that Textual can be: one label. What opening torchtty takes is held against it."""

from textual.app import App, ComposeResult
from textual.widgets import Label

TEXT = "one label"


class LabelApp(App[None]):
    """Shows one label until it is closed."""

    def compose(self) -> ComposeResult:
        yield Label(TEXT)


if __name__ == "__main__":
    LabelApp().run()
