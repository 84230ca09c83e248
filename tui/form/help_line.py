"""The help line at the foot of the form: what a setting means and takes, or a description of the chosen recipe."""

from textual.app import RenderResult
from textual.content import Content
from textual.events import MouseScrollDown, MouseScrollUp
from textual.geometry import Size
from textual.widget import Widget

from torchtty.engine.contract.settings.catalogue import catalogue
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.fields import FieldSpec, show
from torchtty.tui.form.draft import Draft
from torchtty.tui.form.pickers import OWN_DEFAULTS, Picker, Pickers


class HelpLine(Widget):
    """A few lines of text; what does not fit is marked by an ellipsis and can be scrolled to."""

    def __init__(self) -> None:
        super().__init__()
        self.content = Content()
        self._top = 0  # the first line in view

    def explain(self, draft: Draft, spec: FieldSpec, *, live: bool) -> None:
        """Show a setting's help, its range, its unit and its initial value."""
        start = draft.base[spec.section].get("kind") if spec.name == "kind" else draft.start(spec.path)
        facts = [spec.allowed()]
        if spec.unit:
            facts.append(f"in {spec.unit}")
        if not live:
            facts.append(f"{'recipe' if draft.recipe else 'default'} {show(start) if start != '' else 'empty'}")
            if spec.live:
                facts.append("can change while it trains")
        else:
            facts.append("enter applies it")
        name = spec.name if spec.name != "kind" else spec.section
        self._show(name, f"{draft.help(spec)}\n", " · ".join(facts))

    def explain_picker(self, picker: Picker, pickers: Pickers) -> None:
        """Show a description of the entry that is chosen in a picker."""
        if picker.id == "model":
            family = FAMILIES[picker.value]
            name, text = family.title, family.summary
        elif picker.id == "recipe":
            recipe = pickers.recipes.get(picker.value)
            name = recipe.name if recipe else "defaults"
            text = " ".join(recipe.about.split()) if recipe else "The model's own settings, without a recipe."
            assert recipe or picker.value == OWN_DEFAULTS
        else:
            entry = catalogue().get(picker.value)
            name = entry.name if entry else "file"
            text = f"{entry.description} {entry.licence}" if entry else "A file of your own, in UTF-8."
        self._show(name, text)

    def _show(self, name: str, text: str, facts: str = "") -> None:
        self.content = Content.assemble((name, "bold"), "  ", text, (facts, "$foreground 60%"))
        self._top = 0
        self.refresh(layout=True)

    def scroll_page(self, direction: int) -> bool:
        """Scroll by a page down (1) or up (-1); return whether there was anything to scroll to."""
        return self._scroll(direction * max(1, self.size.height - 1))

    def _scroll(self, lines: int) -> bool:
        last = max(0, len(self.content.wrap(max(1, self.size.width))) - self.size.height)
        top, self._top = self._top, min(max(self._top + lines, 0), last)
        if self._top != top:
            self.refresh()
        return self._top != top

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self._scroll(1)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self._scroll(-1)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        return len(self.content.wrap(max(1, width)))

    def render(self) -> RenderResult:
        width, height = self.size
        lines = self.content.wrap(max(1, width))
        shown = lines[self._top : self._top + height]
        if shown and self._top + height < len(lines):
            shown[-1] = Content.assemble(shown[-1].rstrip().truncate(width - 2), " …")
        return Content("\n").join(shown)
