"""Fine-tuning: language modelling that begins with weights trained elsewhere, and can hand them on."""

from pathlib import Path
from typing import Any

from torch import nn

from torchtty.engine.contract.settings.models.gpt2 import GPT2Model
from torchtty.engine.contract.settings.tasks import LanguageConfiguration
from torchtty.engine.data.prepared import PreparedText
from torchtty.engine.models.gpt2 import GPT2
from torchtty.engine.models.gpt2_architecture import written_architecture
from torchtty.engine.models.gpt2_weights import export_folder, pretrained
from torchtty.engine.training.language import LanguageTask


class PretrainedTask(LanguageTask):
    """Language modelling with a GPT-2 read from a folder, or rebuilt from the architecture in a checkpoint."""

    def __init__(
        self, configuration: LanguageConfiguration, data: PreparedText, architecture: dict[str, Any] | None = None
    ) -> None:
        self._architecture = architecture
        super().__init__(configuration, data)

    def _build_model(self) -> nn.Module:
        section = self.configuration.model
        assert isinstance(section, GPT2Model)
        return pretrained(section, self.data.tokenizer.vocab_size, self._architecture)

    def architecture(self) -> dict[str, Any]:
        assert isinstance(self.model, GPT2)
        return written_architecture(self.model.shape)

    def export(self, target: Path) -> list[str]:
        assert isinstance(self.model, GPT2)
        section = self.configuration.model
        assert isinstance(section, GPT2Model)
        return export_folder(target, self.model, section, self.data.tokenizer)
