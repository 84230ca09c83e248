"""A request for text, every setting filled in, and what comes of it."""

from dataclasses import dataclass, field

from torchtty.engine.contract.settings.training import TextSampling

ITEMS_AT_ONCE = 10


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
        return cls(
            prompt=section.prompt,
            count=section.count or (ITEMS_AT_ONCE if items else 1),
            max_tokens=section.max_tokens,
            temperature=section.temperature,
            top_k=section.top_k,
            top_p=section.top_p,
            seed=None,
        )


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
