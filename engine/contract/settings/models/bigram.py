"""Settings of the bigram table that is learnt by gradient descent."""

from typing import Literal

from torchtty.engine.contract.settings.fields import Section, setting


class BigramModel(Section):
    """A table of logits, one row a token: what counting does, learnt step by step."""

    kind: Literal["bigram"] = "bigram"
    block_size: int = setting(8, "Tokens a window; each one predicts the next.", ge=1, le=4096, unit="tokens")
