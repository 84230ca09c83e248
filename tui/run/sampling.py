"""Asking the run on the screen for samples: text from a prompt, pictures from fresh noise, and what becomes of them."""

from abc import abstractmethod
from typing import TYPE_CHECKING

from textual.css.query import NoMatches

from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.snapshot import Action
from torchtty.tui.run.pictures import Pictures
from torchtty.tui.run.prompt import PromptBar
from torchtty.tui.run.sample_layout import plain_text, write_samples
from torchtty.tui.run.samples import SamplesPanel
from torchtty.tui.run.steering import SteeredRun

if TYPE_CHECKING:
    from torchtty.tui.images.panel import ImagePanel


class SampledRun(SteeredRun):
    """A run that is steered and sampled from. Which of its parts are in view is up to the class that builds on it."""

    @property
    def samples(self) -> SamplesPanel:
        return self.query_one(SamplesPanel)

    @property
    def pictures(self) -> Pictures:
        return self.query_one(Pictures)

    @property
    def draws_pictures(self) -> bool:
        """Whether the run's model draws pictures and writes no text."""
        return self.snapshot is not None and self.snapshot.draws_pictures

    @abstractmethod
    def make_room_for_samples(self) -> None:
        """Close what hides samples and pictures."""

    def action_prompt(self) -> None:
        """Focus the prompt."""
        self.make_room_for_samples()
        self._may_sample()
        self.query_one(PromptBar).focus_prompt()

    def action_explain_no_prompt(self) -> None:
        """Say that there is no model yet; nothing keeps the focus, so that what is typed for it presses no button."""
        self._may_sample()
        self.screen.set_focus(None)

    def action_draw(self) -> None:
        """Draw pictures from fresh noise."""
        self.make_room_for_samples()
        self.pictures.draw()

    def on_prompt_bar_submitted(self, event: PromptBar.Submitted) -> None:
        """Send a prompt, which takes the place of a sample that is being drawn."""
        event.stop()
        if not self._may_sample():
            return
        if self.samples.is_drawing:
            self.send(requests.Cancel())
        if note := self._sample(event.request):
            self.samples.add_pending(event.request, note)
            self.refresh_bindings()

    def on_image_panel_asked(self, event: "ImagePanel.Asked") -> None:
        """Send a request for pictures from fresh noise."""
        event.stop()
        if self._may_sample() and (note := self._sample(event.request)):
            self.report(f"Pictures from fresh noise: {note}")

    def _may_sample(self) -> bool:
        """Return whether there is a model to sample from, or will be; report why not."""
        if self.snapshot is None:
            why = "There is no model to sample from yet: start a run first."
        else:
            why = self.snapshot.refusal(Action.SAMPLE)
        if why:
            self.report(why)
        return not why

    def _sample(self, request: requests.Sample) -> str:
        """Send a request for a sample and have it served; return what it waits for, empty if it was not sent."""
        assert self.snapshot is not None
        if not self.send(request):
            return ""
        if self._worker_call.is_due(self.snapshot):
            self.post_message(self.NeedsWorker(self.snapshot.run))
        return self.snapshot.waits_for()

    def action_copy(self) -> None:
        """Copy the latest sample to the clipboard of the terminal (OSC 52)."""
        if latest := self.samples.history.latest:
            self.app.copy_to_clipboard(plain_text(latest))
            self.report(f"Copied the sample of step {latest.step:,}.")

    def action_write(self) -> None:
        """Save all samples to a file in the run's folder."""
        if self.run is not None and (report := write_samples(self.run, self.samples.history.records)):
            self.report(report)

    def action_leave(self) -> None:
        """Leave the prompt; a sample that it asked for is still drawn."""
        self.samples.history.focus()

    def action_cancel(self) -> None:
        """Cancel the sample that is being drawn."""
        self.send(requests.Cancel())
        self.samples.drop_pending()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what the run's state and output allow."""
        match action:
            case "prompt" | "copy" | "write":
                return self.run is not None and not self.draws_pictures
            case "explain_no_prompt":
                return self.run is None
            case "draw":
                return self.draws_pictures
            case "leave" | "cancel":
                try:
                    prompted = self.query_one(PromptBar).has_focus_within
                    return prompted if action == "leave" else not prompted and self.samples.is_sampling
                except NoMatches:
                    return False
        return super().check_action(action, parameters)
