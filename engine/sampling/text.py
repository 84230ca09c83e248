"""Drawing text: a request with a prompt in, streamed text out."""

from collections.abc import Generator
from dataclasses import dataclass, field

import torch
from torch import nn

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import symbol_name
from torchtty.engine.contract.settings.training import TextSampling
from torchtty.engine.data.prepared import PreparedText
from torchtty.engine.devices import out_of_memory_means
from torchtty.engine.sampling.decoder import NOT_A_NUMBER, Choice, decode, fetched

ITEMS_AT_ONCE = 10
FETCHED_AT_ONCE = 8  # tokens brought over from a GPU in one transfer, which waits for what it has been given


@dataclass(frozen=True)
class SampleRequest:
    """What is to be drawn, every setting filled in."""

    prompt: str
    count: int
    max_tokens: int
    temperature: float
    top_k: int | None
    top_p: float | None
    seed: int | None

    @classmethod
    def from_settings(cls, section: TextSampling, *, items: bool) -> "SampleRequest":
        """Return what a `sampling` section draws from a model of items, such as names, or of running text."""
        count = section.count or (ITEMS_AT_ONCE if items else 1)
        choice = section.temperature, section.top_k, section.top_p
        return cls(section.prompt, count, section.max_tokens, *choice, seed=None)


@dataclass(frozen=True)
class SamplePiece:
    """Text that was added to sample `index`."""

    index: int
    text: str


@dataclass
class SampleResult:
    """Drawn samples, filled while they are drawn: `texts` one a sample, `known` whether each stands in the training data."""

    texts: list[str] = field(default_factory=list)
    known: list[bool] | None = None
    unknown: list[str] = field(default_factory=list)  # symbols of the prompt that the vocabulary lacks


def sample_text(
    model: nn.Module, data: PreparedText, request: SampleRequest, result: SampleResult, device: torch.device
) -> Generator[SamplePiece]:
    """Draw `request.count` samples at once, yielding text as it comes and filling `result`.

    Samples of items end at the terminator. Raises `UserError` if nothing of the prompt is in the vocabulary, if the model's
    predictions are no numbers, or if there is not enough memory.
    """
    advice = (
        f"There is not enough memory for {request.count:,} samples at once: take a smaller count (--count), or a smaller "
        "max_tokens (--max-tokens). Nothing else is affected."
    )
    with out_of_memory_means(advice):
        tokenizer = data.tokenizer
        result.unknown = sorted(
            symbol_name(part) if len(part) == 1 else part for part in tokenizer.unknown(request.prompt)
        )
        prompt = tokenizer.encode(request.prompt)
        if request.prompt and not prompt:
            raise UserError(
                f"Nothing of this prompt is in the model's vocabulary: it has never seen {', '.join(result.unknown[:8])}."
            )
        generator = torch.Generator(device)
        if request.seed is None:
            generator.seed()
        else:
            generator.manual_seed(request.seed)
        start = [data.start_id] if data.terminator is not None or not prompt else []
        context = torch.tensor(start + prompt, dtype=torch.int64, device=device)
        result.texts = [tokenizer.decode(prompt)] * request.count
        result.known = None
        streams = [tokenizer.stream() for _ in range(request.count)]
        for index, stream in enumerate(streams):
            for token in prompt:
                stream.push(token)
            yield SamplePiece(index, result.texts[index])
        ended = [False] * request.count
        choice = Choice(request.temperature, request.top_k, request.top_p)
        count, longest, start_id = request.count, request.max_tokens, data.start_id
        decoded = decode(model, context, count, longest, choice, generator, start_id, vocab_size=tokenizer.vocab_size)
        for tokens in fetched(decoded, 1 if device.type == "cpu" else FETCHED_AT_ONCE):
            for index, token in enumerate(tokens):
                if ended[index]:
                    continue
                if token == NOT_A_NUMBER:
                    raise UserError(
                        "The model's predictions are not numbers any more: its weights have become NaN or infinite, as they do "
                        "when training diverges. Sample from an earlier checkpoint, or train again with a lower learning_rate."
                    )
                ended[index] = token == data.terminator
                piece = "" if ended[index] else streams[index].push(token)
                result.texts[index] += piece
                if piece:
                    yield SamplePiece(index, piece)
            if all(ended):
                break
        for index, stream in enumerate(streams):
            if rest := stream.finish():
                result.texts[index] += rest
                yield SamplePiece(index, rest)
        if data.terminator is not None:
            result.known = [text in data.known for text in result.texts]
