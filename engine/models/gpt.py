"""A GPT: token and position embeddings, pre-norm transformer blocks, a linear head (Radford et al., 2019)."""

import math

from torch import nn

from torchtty.engine.contract.settings.models.gpt import GPTModel
from torchtty.engine.models.pre_norm import PreNormShape, PreNormTransformer


class GPT(PreNormTransformer):
    """Predicts the next token at every position of a window of up to `block_size` tokens."""

    head: nn.Linear

    def __init__(self, config: GPTModel, vocab_size: int) -> None:
        super().__init__(
            PreNormShape(
                vocab_size=vocab_size,
                n_positions=config.block_size,
                n_embd=config.n_embd,
                n_layer=config.n_layer,
                n_head=config.n_head,
                n_inner=4 * config.n_embd,
                activation_function=config.activation,
                bias=config.bias,
                qkv_bias=config.qkv_bias,
                embd_dropout=config.dropout,
                attn_dropout=config.dropout,
                resid_dropout=config.dropout,
            )
        )
        self.block_size = config.block_size
        self.head = nn.Linear(config.n_embd, vocab_size, bias=config.bias and not config.tie_weights)
        if config.tie_weights:
            self.head.weight = self.token_embedding.weight
        self.draw_weights(residual_std=0.02 / math.sqrt(2 * config.n_layer))
