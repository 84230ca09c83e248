"""The table of lenses: views into a model, each with one sentence on how to read it, its options, and what it needs of a model.

A lens `NAME` is a line here, `engine/lenses/NAME.py` with `compute(task, options)`, which yields progress and returns a JSON
object, and `tui/lenses/NAME.py` with `render(result, width)`, which returns a `View` (see `tui/lenses/view.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.family import Family, Feature, ModelSection
from torchtty.engine.contract.settings.fields import FieldSpec, Stepping, show

Options = dict[str, Any]
"""The values of a lens's options by their names, every one of them present."""

_LACKS = {
    Feature.NETWORK: "counts and has no network, which",
    Feature.TEXT: "draws pictures and knows no tokens, which",
    Feature.PICTURES: "draws no pictures, which",
    Feature.ATTENTION: "has no attention, which",
    Feature.RECURRENCE: "has no recurrent state without gates, which",
}


def option(
    name: str, default: Any, help: str, *, type: type | None = None, choices: tuple[str, ...] = (), **more: Any
) -> FieldSpec:
    """Declare an option of a lens: its name, default and one sentence of help, and what `FieldSpec` takes beside them.

    The type is that of the default. A default of None needs its `type`, and the option is then `optional`. What `choices` there
    are may depend on the model: a result then lists them as `{"choices": {name: [...]}}`, and says under
    `name` which of them it took.
    """
    found = type or default.__class__
    optional = default is None
    return FieldSpec(f"option.{name}", found, default, help, choices=choices, optional=optional, **more)


STEP = option(
    "step", None, "The checkpoint to look into, by its step; none for the model as it is now.", type=int, minimum=0
)


@dataclass(frozen=True)
class LensEntry:
    """A lens: its name, its title, how its result is read, what it needs of a model's family, and its options.

    One that `reads_checkpoints` gets the run and the step of its model as a third argument of
    `compute`, and takes a `step` only where it declares that itself. One that is not `live` is
    computed when a person asks for it, and not again by itself while the model trains. One that
    `reads_weights` has nothing to show once they are no numbers any more.
    """

    name: str
    title: str
    reading: str
    needs: tuple[Feature, ...] = (Feature.NETWORK,)
    own_options: tuple[FieldSpec, ...] = ()
    reads_checkpoints: bool = False
    live: bool = True
    reads_weights: bool = True

    @property
    def options(self) -> tuple[FieldSpec, ...]:
        """All options, the step of a checkpoint the last."""
        return self.own_options if self.reads_checkpoints else (*self.own_options, STEP)

    def refusal(self, family: Family, model: ModelSection | None = None) -> str:
        """Say in one sentence why this lens does not look into the models of a family, or one with the settings `model`.

        Empty if it does.
        """
        lacks = model.lacks if model is not None else frozenset()
        lacking = next((feature for feature in self.needs if feature not in family.features - lacks), None)
        whose = f"This {family.title}" if lacking in lacks else family.title
        return f"{whose} {_LACKS[lacking]} the lens {self.name} looks into." if lacking else ""

    def parse(self, given: Mapping[str, str]) -> Options:
        """Read options as a person typed them; raise `UserError` with a line for each that is wrong."""
        specs = {spec.name: spec for spec in self.options}
        found: Options = {}
        problems = []
        for name, text in given.items():
            if name not in specs:
                takes = ", ".join(f"--{known}" for known in specs)
                problems.append(f"The lens {self.name} has no option --{name}: it takes {takes}")
                continue
            spec = specs[name]
            try:
                found[name] = text if _is_free_text(spec) else spec.parse(text)
            except UserError as error:
                problems.append(str(error).replace(spec.path, f"--{name}").rstrip("."))
        if problems:
            raise UserError("\n".join(f"{problem}." for problem in problems))
        return found

    def complete(self, given: Mapping[str, Any]) -> Options:
        """Return all options, defaults filled in; raise `UserError` for one that is unknown or has a value it does not take."""
        parsed = self.parse({name: value if isinstance(value, str) else show(value) for name, value in given.items()})
        return {spec.name: spec.default for spec in self.options} | parsed


def _is_free_text(spec: FieldSpec) -> bool:
    """Whether every text is a value, spaces at its ends included."""
    return spec.type is str and not spec.choices and not spec.pattern


_SEED = option("seed", 1, "The same seed draws the same.", minimum=0, maximum=2**31 - 1)
_TEXT = option("text", "", "The text that is read; empty takes a piece of the validation split.")
_LAYER = option("layer", 1, "The layer, counted from 1.", minimum=1)
_HEAD = option("head", 1, "The head, counted from 1.", minimum=1)

_ENTRIES = (
    LensEntry(
        "counts",
        "Counts",
        "A row is a token, a column one that follows it: the brighter, the more often. A model of pairs approaches the loss of "
        "the counts from above, and no table of pairs is below it; uniform is where guessing stands.",
        needs=(Feature.TEXT,),
        own_options=(
            option(
                "show",
                "probabilities",
                "The numbers of pairs, their shares, what the model says, or guessing.",
                choices=("counts", "probabilities", "model", "uniform"),
            ),
            option("word", "", "A word whose pairs are listed."),
            _SEED,
        ),
        reads_weights=False,
    ),
    LensEntry(
        "windows",
        "Windows",
        "A line is one prediction: what the model sees, and what follows. Beneath stand the tokens by their ids.",
        needs=(Feature.TEXT,),
        own_options=(
            option("first", 0, "The number of the first window.", minimum=0, step=10),
            option("split", "train", "Which split of the data.", choices=("train", "val", "test")),
        ),
        live=False,
        reads_weights=False,
    ),
    LensEntry(
        "rates",
        "Learning rates",
        "The rate grows from step to step: below the valley it learns slowly, beyond it diverges. A good rate lies where the loss "
        "falls fastest, some way before the lowest point.",
        needs=(Feature.NETWORK, Feature.TEXT),
        own_options=(
            option(
                "axis",
                "exponent",
                "Draw the loss over the rate itself, which crowds the low ones, or over its exponent.",
                choices=("exponent", "rate"),
            ),
            option("begin", "first weights", "Which weights the sweep begins with.", choices=("first weights", "now")),
            option("lowest", 1e-5, "The rate it begins with.", above=0.0, maximum=1.0, stepping=Stepping.DECADES),
            option("highest", 1.0, "The rate it ends with.", above=0.0, maximum=1000.0, stepping=Stepping.DECADES),
            option("steps", 200, "How many steps.", minimum=20, maximum=5000, step=100),
            _SEED,
        ),
        live=False,
        reads_weights=False,
    ),
    LensEntry(
        "initial",
        "Initial loss",
        "Who knows nothing should say so: the first loss is chance, ln of the vocabulary's size, if first predictions are even. "
        "Far above it the first weights are confidently wrong, and the first steps only mend that.",
        needs=(Feature.NETWORK, Feature.TEXT),
        own_options=(
            option("example", 0, "The example of the batch whose steps are shown.", minimum=0),
            option(
                "add",
                0.0,
                "A number added to every logit: from about 89 on their exponentials overflow.",
                minimum=-1000.0,
                maximum=1000.0,
                step=10,
            ),
        ),
        reads_weights=False,
    ),
    LensEntry(
        "embeddings",
        "Embeddings",
        "Tokens that the model uses alike stand close to each other: in names, vowels find each other early. Under principal "
        "components only what the two axes hold of the variance is to be seen; the neighbours count all dimensions.",
        needs=(Feature.NETWORK, Feature.TEXT),
        own_options=(
            option("method", "pca", "How more than two dimensions become two.", choices=("pca", "t-sne")),
            option(
                "way", False, "Whether to show where tokens were at checkpoints and moments that were looked at before."
            ),
            _SEED,
            STEP,
        ),
        reads_checkpoints=True,
    ),
    LensEntry(
        "activations",
        "Activations",
        "Healthy layers have a spread near 1 and few numbers at the ends of their range: a unit that is saturated (beyond "
        "0.97 of a tanh) or dead on every example passes no gradient and does not learn.",
        own_options=(
            option(
                "show",
                "layers",
                "All layers; one layer's units by examples; the layers over the steps; why weights are divided by the root of "
                "the fan-in.",
                choices=("layers", "map", "time", "fan-in"),
            ),
            option("layer", "", "The layer of the map; the first activation if left out."),
            STEP,
        ),
        reads_checkpoints=True,
    ),
    LensEntry(
        "gradients",
        "Gradients",
        "A step should move a weight by about a thousandth of its size: far less and it hardly learns, far more and it is thrown "
        "about. A gradient that fades from the last layers to the first does not reach them.",
        own_options=(
            option(
                "show",
                "now",
                "The weights now; how far steps moved them, or the norms of their gradients, over the steps.",
                choices=("now", "ratios", "norms"),
            ),
            STEP,
        ),
        reads_checkpoints=True,
    ),
    LensEntry(
        "samples",
        "Samples over time",
        "The same prompt with the same seed at every checkpoint and every moment looked at: what differs was learnt meanwhile.",
        needs=(Feature.TEXT,),
        own_options=(
            option("prompt", "", "The beginning of each text; the run's own if left out."),
            option("count", 5, "How many texts at each step.", minimum=1, maximum=20),
            option("tokens", 80, "The most tokens of a text.", minimum=1, maximum=1000, step=20),
            option(
                "temperature",
                0.8,
                "Below 1 favours likely tokens; 0 always takes the likeliest.",
                minimum=0.0,
                maximum=10.0,
                step=0.1,
            ),
            _SEED,
        ),
        reads_checkpoints=True,
    ),
    LensEntry(
        "shapes",
        "Shapes",
        "Each line is a layer, in the order of the forward pass on one batch: the shapes of its input and output, its "
        "parameters, the size of its weights, the memory of its output, and the time it takes alone. A layer includes those "
        "indented below it. Step by step it is every operation on tensors, with what it does to their shapes.",
        needs=(),
        own_options=(option("steps", False, "Every operation of the forward pass instead of every layer."),),
        live=False,
        reads_weights=False,
    ),
    LensEntry(
        "attention",
        "Attention",
        "A row is a position, a column one that it looks at: the brighter, the more it takes from there. Each row sums to 1, and "
        "under a mask nothing is taken from what comes later.",
        needs=(Feature.NETWORK, Feature.TEXT, Feature.ATTENTION),
        own_options=(_TEXT, _LAYER, _HEAD),
    ),
    LensEntry(
        "buildup",
        "Attention, built up",
        "From averages by a loop to attention in four versions: the first three differ by rounding alone, the fourth learns what "
        "to look at. Scores are divided by √d_k since their variance is d_k, and a softmax of large scores picks one position.",
        needs=(Feature.NETWORK, Feature.TEXT, Feature.ATTENTION),
        own_options=(
            _TEXT,
            option(
                "version",
                "head",
                "Which of the four versions is drawn.",
                choices=("loop", "matrix", "softmax", "head"),
            ),
            _LAYER,
            _HEAD,
        ),
        live=False,
    ),
    LensEntry(
        "prediction",
        "Next token",
        "The brighter a token, the more it surprised: bits are -log2 of the probability it was given. Below the line of pairs the "
        "model has learnt more than which token follows which.",
        needs=(Feature.TEXT,),
        own_options=(_TEXT, option("top", 5, "How many of the likeliest tokens are listed.", minimum=1, maximum=50)),
    ),
    LensEntry(
        "tokens",
        "Tokens",
        "The same text as each tokenizer cuts it: a larger vocabulary makes fewer tokens, of which each costs more bits. Compare "
        "losses of runs in bits a character, never in nats a token, where their tokenizers differ.",
        needs=(Feature.TEXT,),
        own_options=(_TEXT,),
        live=False,
        reads_weights=False,
    ),
    LensEntry(
        "bptt",
        "Gradients by hand",
        "Every gradient of the recurrent network, written out step by step back through time, equals autograd's. The last column "
        "is what of the last loss still reaches a position: where it fades, nothing is learnt about so long ago.",
        needs=(Feature.NETWORK, Feature.TEXT, Feature.RECURRENCE),
        own_options=(_TEXT, option("parameter", "", "The parameter whose gradient is drawn; empty: state to state.")),
    ),
    LensEntry(
        "filters",
        "Filters",
        "A map is what a filter makes of one picture: bright where the picture looks like the filter. The discriminator's first "
        "layers find edges and strokes, its last ones whether the whole is real.",
        needs=(Feature.NETWORK, Feature.PICTURES),
        own_options=(
            option("layer", "", "The convolution; empty takes the first that reads pictures."),
            option(
                "show",
                "maps",
                "The maps of the layer, its filters, or one map number by number.",
                choices=("maps", "filters", "numbers"),
            ),
            option("map", 1, "The map that is shown number by number, counted from 1.", minimum=1),
            option("example", 0, "The picture of the batch, counted from 0.", minimum=0),
        ),
    ),
    LensEntry(
        "walk",
        "Walk",
        "From noise to noise along an arc: where pictures change little by little the generator has learnt a space, where they "
        "jump it has learnt single pictures.",
        needs=(Feature.NETWORK, Feature.PICTURES),
        own_options=(
            _SEED,
            option("rows", 4, "How many walks.", minimum=1, maximum=16),
            option("frames", 8, "Pictures of a walk.", minimum=2, maximum=32),
        ),
    ),
    LensEntry(
        "nearest",
        "Nearest",
        "Beside each drawn picture the most similar ones that were learnt from: one that lies much nearer than two real pictures "
        "do was memorised, all others are new.",
        needs=(Feature.NETWORK, Feature.PICTURES),
        own_options=(
            _SEED,
            option("count", 6, "How many pictures are drawn.", minimum=1, maximum=64),
        ),
        live=False,
    ),
)
LENSES: dict[str, LensEntry] = {lens.name: lens for lens in _ENTRIES}


def lens_named(name: str) -> LensEntry:
    """Return the lens of that name; raise `UserError` that lists the names there are."""
    if name not in LENSES:
        raise UserError(f"There is no lens called '{name}'. The lenses are {', '.join(LENSES)}.")
    return LENSES[name]


def lenses_for(family: Family, model: ModelSection | None = None) -> tuple[LensEntry, ...]:
    """Return the lenses that look into models of a family, or into the one with the settings `model`, in the table's order."""
    return tuple(lens for lens in LENSES.values() if not lens.refusal(family, model))
