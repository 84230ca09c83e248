"""Surfaces over two weights, and six optimizers that walk down them, with the formulas that torch computes."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

from torchtty.engine.contract.learn.example import read_asset

FURTHEST = 1e3  # a weight beyond this has left for good
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # Jordan et al., 2024; five iterations
Pair = tuple[float, float]


@dataclass(frozen=True)
class Surface:
    """A loss over two weights: its bounds, where walks begin, and what it is an example of."""

    key: str
    title: str
    formula: str
    about: str
    x: Pair
    y: Pair
    start: Pair

    def value(self, x: float, y: float) -> float:
        """Return the loss at a place."""
        return _FUNCTIONS[self.key][0](x, y)

    def gradient(self, x: float, y: float) -> Pair:
        """Return the derivative of the loss by each weight."""
        return _FUNCTIONS[self.key][1](x, y)


# Each loss and its gradient. The bent valley is Rosenbrock's (1960) with 5 instead of 100.
_FUNCTIONS: dict[str, tuple[Callable[[float, float], float], Callable[[float, float], Pair]]] = {
    "valley": (lambda x, y: (x * x + 20 * y * y) / 2, lambda x, y: (x, 20 * y)),
    "bent": (
        lambda x, y: (1 - x) ** 2 + 5 * (y - x * x) ** 2,
        lambda x, y: (-2 * (1 - x) - 20 * x * (y - x * x), 10 * (y - x * x)),
    ),
    "saddle": (lambda x, y: x * x - y * y + y**4 / 4 + 1, lambda x, y: (2 * x, -2 * y + y**3)),
    "hole": (
        lambda x, y: 1 - math.exp(-(x * x + y * y) / 2),
        lambda x, y: (x * math.exp(-(x * x + y * y) / 2), y * math.exp(-(x * x + y * y) / 2)),
    ),
    "ripples": (
        lambda x, y: (x * x + y * y) / 8 + 0.5 * (2 - math.cos(3 * x) - math.cos(3 * y)),
        lambda x, y: (x / 4 + 1.5 * math.sin(3 * x), y / 4 + 1.5 * math.sin(3 * y)),
    ),
}


@dataclass(frozen=True)
class Walker:
    """An optimizer: its formula, a sentence, and the learning rate it begins with on each surface."""

    key: str
    title: str
    formula: str
    about: str
    rates: dict[str, float]


@dataclass(frozen=True)
class Moment:
    """Where a walk is, and the step that led there: its numbers by name, each a pair of one for x and one for y."""

    place: Pair
    loss: float
    parts: tuple[tuple[str, Pair], ...] = ()


@cache
def surfaces() -> tuple[Surface, ...]:
    """Return the surfaces in the order in which they are shown."""
    found = read_asset("surfaces")["surfaces"]
    return tuple(Surface(**entry | {part: tuple(entry[part]) for part in ("x", "y", "start")}) for entry in found)


@cache
def walkers() -> tuple[Walker, ...]:
    """Return the optimizers in the order in which they are shown."""
    return tuple(Walker(**entry) for entry in read_asset("surfaces")["optimizers"])


@dataclass
class Walk:
    """The way of one optimizer down a surface, computed as far as it is asked for."""

    optimizer: str
    surface: Surface
    rate: float
    moments: list[Moment] = field(default_factory=list)

    def __post_init__(self) -> None:
        start = self.surface.start
        self.moments = [Moment(start, self.surface.value(*start))]
        self._steps = _steps(self.optimizer, self.surface, self.rate)

    def at(self, step: int) -> Moment:
        """Return where the walk is after so many steps; one that has left stays where it was lost."""
        while len(self.moments) <= step and not self.is_lost:
            self.moments.append(next(self._steps))
        return self.moments[min(step, len(self.moments) - 1)]

    def places(self, step: int) -> list[Pair]:
        """Return the places up to a step."""
        self.at(step)
        return [moment.place for moment in self.moments[: step + 1]]

    @property
    def is_lost(self) -> bool:
        """Whether the last step that was computed led out of all bounds."""
        return not max(map(abs, self.moments[-1].place)) < FURTHEST


def _steps(optimizer: str, surface: Surface, rate: float) -> Iterator[Moment]:
    """Yield the steps of a walk."""
    place, update = surface.start, _UPDATES[optimizer]()
    while True:
        gradient = surface.gradient(*place)
        parts = update(gradient, rate)
        change = parts[-1][1]
        before, place = place, (place[0] + change[0], place[1] + change[1])
        lost = not max(map(abs, place)) < FURTHEST
        loss = math.inf if lost else surface.value(*place)
        yield Moment(place, loss, (("at", before), ("gradient g", gradient), *parts))


# Each update keeps its memory and returns the numbers of a step, the step itself last.
Parts = list[tuple[str, Pair]]
Update = Callable[[Pair, float], Parts]


def _each(function: Callable[..., float], *pairs: Pair) -> Pair:
    return function(*(pair[0] for pair in pairs)), function(*(pair[1] for pair in pairs))


def _sgd() -> Update:
    return lambda gradient, rate: [("step −rate·g", _each(lambda g: -rate * g, gradient))]


def _momentum(keep: float = 0.9) -> Update:
    """The step is a running sum of gradients (Polyak, 1964), as in torch without dampening."""
    memory: Pair = (0.0, 0.0)

    def update(gradient: Pair, rate: float) -> Parts:
        nonlocal memory
        memory = _each(lambda m, g: keep * m + g, memory, gradient)
        return [("velocity v", memory), ("step −rate·v", _each(lambda m: -rate * m, memory))]

    return update


def _adagrad(epsilon: float = 1e-10) -> Update:
    """Duchi et al., 2011: each weight's rate falls with the sum of its squared gradients."""
    total: Pair = (0.0, 0.0)

    def update(gradient: Pair, rate: float) -> Parts:
        nonlocal total
        total = _each(lambda s, g: s + g * g, total, gradient)
        step = _each(lambda s, g: -rate * g / (math.sqrt(s) + epsilon), total, gradient)
        return [("sum of g², s", total), ("step −rate·g/√s", step)]

    return update


def _rmsprop(keep: float = 0.99, epsilon: float = 1e-8) -> Update:
    """Tieleman & Hinton, 2012: divided by the root of a running mean of squared gradients."""
    mean: Pair = (0.0, 0.0)

    def update(gradient: Pair, rate: float) -> Parts:
        nonlocal mean
        mean = _each(lambda v, g: keep * v + (1 - keep) * g * g, mean, gradient)
        step = _each(lambda v, g: -rate * g / (math.sqrt(v) + epsilon), mean, gradient)
        return [("mean of g², v", mean), ("step −rate·g/√v", step)]

    return update


def _adam(beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> Update:
    """Kingma & Ba, 2015, algorithm 1: running means of gradient and square, freed of their bias towards zero."""
    first: Pair = (0.0, 0.0)
    second: Pair = (0.0, 0.0)
    count = 0

    def update(gradient: Pair, rate: float) -> Parts:
        nonlocal first, second, count
        count += 1
        first = _each(lambda m, g: beta1 * m + (1 - beta1) * g, first, gradient)
        second = _each(lambda v, g: beta2 * v + (1 - beta2) * g * g, second, gradient)
        m = _each(lambda value: value / (1 - beta1**count), first)
        v = _each(lambda value: value / (1 - beta2**count), second)
        step = _each(lambda m, v: -rate * m / (math.sqrt(v) + epsilon), m, v)
        return [("mean of g, m", m), ("mean of g², v", v), ("step −rate·m/√v", step)]

    return update


def _muon(keep: float = 0.95, epsilon: float = 1e-7) -> Update:
    """Jordan et al., 2024, on the weights as a matrix of one row, with the step scaled to AdamW's (Liu et al., 2025).

    Newton and Schulz' iteration makes the momentum orthogonal: for one row, of a length near 1.
    """
    memory: Pair = (0.0, 0.0)

    def update(gradient: Pair, rate: float) -> Parts:
        nonlocal memory
        memory = _each(lambda m, g: keep * m + (1 - keep) * g, memory, gradient)
        ahead = _each(lambda m, g: (1 - keep) * g + keep * m, memory, gradient)
        length = max(math.hypot(*ahead), epsilon)
        row = _each(lambda u: u / length, ahead)
        a, b, c = NEWTON_SCHULZ
        for _ in range(5):
            square = row[0] * row[0] + row[1] * row[1]
            factor = a + b * square + c * square * square
            row = (factor * row[0], factor * row[1])
        scale = 0.2 * math.sqrt(2)  # of the longer side of a 1x2 matrix
        step = _each(lambda o: -rate * scale * o, row)
        return [("momentum m", memory), ("orthogonal o", row), ("step −rate·0.28·o", step)]

    return update


_UPDATES: dict[str, Callable[[], Update]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "muon": _muon,
}
