"""What the setting in focus means, what it takes and where it started."""

from textual.content import Content
from textual.widgets import Static

from torchtty.engine.contract.settings.catalogue import catalogue
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.fields import FieldSpec, show
from torchtty.tui.form.draft import Draft
from torchtty.tui.form.pickers import OWN_DEFAULTS, Picker, Pickers


class HelpLine(Static):
    """A few lines at the foot of the form."""

    def explain(self, draft: Draft, spec: FieldSpec, *, live: bool) -> None:
        """Show a setting's help, its range, its unit and the value it started with."""
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
        self.update(
            Content.assemble(
                (spec.name if spec.name != "kind" else spec.section, "bold"),
                "  ",
                draft.help(spec),
                "\n",
                (" · ".join(facts), "$foreground 60%"),
            )
        )

    def explain_picker(self, picker: Picker, pickers: Pickers) -> None:
        """Show what is chosen in one of the pickers."""
        if picker.id == "model":
            family = FAMILIES[picker.value]
            name, text = family.title, family.summary
        elif picker.id == "recipe":
            recipe = pickers.recipes.get(picker.value)
            name = recipe.name if recipe else "defaults"
            text = recipe.about if recipe else "The model's own settings, without a recipe."
            assert recipe or picker.value == OWN_DEFAULTS
        else:
            entry = catalogue().get(picker.value)
            name = entry.name if entry else "file"
            text = f"{entry.description} {entry.licence}" if entry else "A file of your own, in UTF-8."
        self.update(Content.assemble((name, "bold"), "  ", text))
