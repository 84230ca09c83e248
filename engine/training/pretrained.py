"""Fine-tuning: language modelling that begins with weights trained elsewhere, and can hand them on."""

from pathlib import Path
from typing import Any

from torch import nn

from torchtty.engine.contract.paths import expanded
from torchtty.engine.contract.settings.data import GPT2Tokens, Tokens
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.models.gpt2 import GPT2Model
from torchtty.engine.contract.settings.tasks import LanguageConfiguration
from torchtty.engine.data.prepared import PreparedText, read_text
from torchtty.engine.data.tokenizers import GPT2Tokenizer
from torchtty.engine.models.gpt2 import GPT2, written_architecture
from torchtty.engine.models.gpt2_hub import PUBLISHED, VOCABULARY, waits_for_download
from torchtty.engine.models.gpt2_weights import export_folder, pretrained
from torchtty.engine.training.language import LanguageTask
from torchtty.engine.training.task import NEW, Facts, Task, TaskSource


class PretrainedTask(LanguageTask):
    """Language modelling with a GPT-2 read from a folder, or rebuilt from the architecture in a checkpoint."""

    model: GPT2
    timed_batch = 1

    def __init__(
        self, configuration: LanguageConfiguration, data: PreparedText, architecture: dict[str, Any] | None = None
    ) -> None:
        self._architecture = architecture
        super().__init__(configuration, data)
        self._architecture = None  # from now on a network is built with first weights

    @classmethod
    def build(cls, configuration: Configuration, source: TaskSource = NEW) -> Task:
        assert isinstance(configuration, LanguageConfiguration)
        section, tokens = configuration.data, _vocabulary(_model(configuration), configuration.tokenizer)
        gone, without = source.data_may_be_gone, source.without_data
        data = read_text(section, tokens, source.tokenizer, may_be_gone=gone, without=without)
        return cls(configuration, data, source.architecture)

    @classmethod
    def preview(cls, configuration: Configuration) -> Facts | None:
        """Return what is known of weights that are still to be downloaded, which choosing a model must not set off."""
        weights = _model(configuration).weights
        if not waits_for_download(weights):
            return None
        parameters = PUBLISHED[weights].parameters
        note = f"The weights of {weights}, {parameters * 4 / 1e6:,.0f} MB, are downloaded when training begins."
        return Facts(parameters, VOCABULARY, {}, {}, (note,))

    def build_network(self) -> nn.Module:
        return pretrained(_model(self.configuration), self.data.tokenizer.vocab_size, self._architecture)

    def architecture(self) -> dict[str, Any]:
        return written_architecture(self.model.shape)

    def export(self, target: Path) -> list[str]:
        return export_folder(target, self.model, _model(self.configuration), self.data.tokenizer)


def _model(configuration: Configuration) -> GPT2Model:
    section = configuration.sections()["model"]
    assert isinstance(section, GPT2Model)
    return section


def _vocabulary(model: GPT2Model, tokens: Tokens) -> Tokens:
    """Return the tokenizer section; GPT-2's without a path takes the files beside the model's weights, if they are there."""
    if not isinstance(tokens, GPT2Tokens) or tokens.path:
        return tokens
    folder = expanded(model.weights)
    return tokens.model_copy(update={"path": str(folder)}) if GPT2Tokenizer.is_in(folder) else tokens
