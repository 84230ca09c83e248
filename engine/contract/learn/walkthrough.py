"""A transformer in thirteen steps, from words to the next word, as tables that a person can follow by hand.

One block of an encoder and one of a decoder (Vaswani et al., 2017), with the norm behind each layer.
"""

import math
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache

from torchtty.engine.contract.learn import tables as t
from torchtty.engine.contract.learn.example import START, Example, Sizes, read_asset
from torchtty.engine.contract.learn.tables import Table, Trace, Value

SPREAD_LENGTHS = (1, 4, 16, 64)  # of the vectors whose dot products are measured
SPREAD_PAIRS = 400


@dataclass(frozen=True)
class Step:
    """A step: its title, one plain sentence, and its tables."""

    number: int
    title: str
    about: str
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Slip:
    """A mistake that is often made in a step, and what is right. One that `computes` can be tried out."""

    key: str
    step: int
    name: str
    wrong: str
    right: str

    @property
    def computes(self) -> bool:
        """Whether it changes a computation; the others are only something that is said."""
        return self.key != "spread"


@cache
def slips() -> tuple[Slip, ...]:
    """Return the common slips, in the order of the steps."""
    return tuple(Slip(**entry) for entry in read_asset("by-hand-text")["slips"])


@cache
def texts() -> dict[str, tuple[str, str]]:
    """Return the title and the sentence of each kind of table."""
    return {key: (entry["title"], entry["about"]) for key, entry in read_asset("by-hand-text")["tables"].items()}


def walk(example: Example, with_slips: Collection[str] = ()) -> tuple[Step, ...]:
    """Compute all steps of an example; those slips that are named are made on the way."""
    computed = _Walk(example, frozenset(with_slips)).steps()
    about = read_asset("by-hand-text")["steps"]
    assert len(computed) == len(about)
    return tuple(
        Step(number, text["title"], text["about"], tuple(tables))
        for number, (text, tables) in enumerate(zip(about, computed, strict=True), start=1)
    )


def positional_encoding(count: int, d_model: int) -> tuple[tuple[float, ...], ...]:
    """Return PE(pos, 2i) = sin(pos / 10000^(2i/d)) and PE(pos, 2i + 1) = cos of the same angle, a row a position."""
    return tuple(
        tuple(
            (math.cos if column % 2 else math.sin)(position / 10000 ** (column // 2 * 2 / d_model))
            for column in range(d_model)
        )
        for position in range(count)
    )


class _Walk:
    """The computation of one example."""

    def __init__(self, example: Example, slips: frozenset[str]) -> None:
        self.example = example
        self.sizes: Sizes = example.sizes
        self.slips = slips
        self.vocabulary = example.vocabulary
        self.ids = {word: number for number, word in enumerate(self.vocabulary)}
        self.dimensions = t.numbered(self.sizes.d_model)

    def steps(self) -> list[list[Table]]:
        """Return the tables of each step."""
        example = self.example
        embedding = Table("embedding", "E", self.vocabulary, self.dimensions, example.embedding())
        embedded = t.looked_up("embedded", "E[ids]", embedding, self._ids_of(example.sentence), example.sentence)
        angles, positions = self._positions(example.sentence)
        x = t.sum_of("input", "X", embedded, positions)
        attention = self._attention("attention", x, x, x, "")
        added = self._add_and_norm("N1", x, attention[-1])
        forward = self._feed_forward("encoder", added[-1], "F")
        encoded = self._add_and_norm("M", added[-1], forward[-1])
        decoder_input, decoder_block = self._decoder(embedding, encoded[-1])
        return [
            [self._text()],
            [self._vocabulary()],
            [self._ids("ids", example.sentence)],
            [embedding, embedded],
            [angles, positions],
            [x],
            [*attention, _spread_of_dot_products()],
            added,
            forward,
            encoded,
            decoder_input,
            decoder_block,
            self._next_word(decoder_block[-1]),
        ]

    # -- words ----------------------------------------------------------------------------------------------------

    def _text(self) -> Table:
        sentences = [*self.example.corpus]
        if self.example.sentence not in sentences:
            sentences.append(self.example.sentence)
        longest = max(map(len, sentences))
        values = tuple((*sentence, *[""] * (longest - len(sentence))) for sentence in sentences)

        def explain(_: Table, row: int, column: int) -> Trace:
            if not values[row][column]:
                return Trace("The sentence is shorter than this.")
            read = ", the one that the model reads" if sentences[row] == self.example.sentence else ""
            return Trace(f"Word {column + 1} of sentence {row + 1}{read}.")

        rows = tuple(f"sentence {number}" for number in t.numbered(len(sentences)))
        return Table("text", "text", rows, t.numbered(longest), values, explain)

    def _vocabulary(self) -> Table:
        sentences = dict.fromkeys((*self.example.corpus, self.example.sentence))
        text = [word for sentence in sentences for word in sentence]

        def explain(table: Table, row: int, column: int) -> Trace:
            word = table.rows[row]
            if column == 0:
                return Trace(
                    f"“{word}” is word number {row} of the vocabulary, counted from 0, in the order of the text."
                )
            return Trace(f"“{word}” occurs {text.count(word)} times among the {len(text)} words of the text.")

        values = tuple((number, text.count(word)) for number, word in enumerate(self.vocabulary))
        return Table("vocabulary", "vocabulary", self.vocabulary, ("id", "times"), values, explain)

    def _ids_of(self, words: Sequence[str]) -> list[int]:
        return [self.ids[word] for word in words]

    def _ids(self, key: str, words: Sequence[str]) -> Table:
        def explain(table: Table, row: int, _column: int) -> Trace:
            return Trace(f"“{table.rows[row]}” stands in line {table.values[row][0]} of the vocabulary.")

        values = tuple((number,) for number in self._ids_of(words))
        return Table(key, "ids", tuple(words), ("id",), values, explain)

    # -- positions ------------------------------------------------------------------------------------------------

    def _positions(self, words: Sequence[str], group: str = "") -> tuple[Table, Table]:
        """Return the angles and PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i + 1) = cos of the same angle."""
        d_model, wrong = self.sizes.d_model, "positions" in self.slips
        exponents = [2 * column if wrong else column // 2 * 2 for column in range(d_model)]

        def angle(position: int, column: int) -> float:
            return position / 10000 ** (exponents[column] / d_model)

        def function(column: int) -> str:
            return "sin" if wrong or column % 2 == 0 else "cos"

        def explain_angle(_: Table, row: int, column: int) -> Trace:
            exponent = f"{exponents[column]}/{d_model}"
            lines: tuple[tuple[Value, ...], ...] = (
                ("position", row),
                (f"÷ 10000^({exponent})", 10000 ** (exponents[column] / d_model)),
            )
            says = f"Position {row} (counted from 0) over the wavelength of columns that share the exponent {exponent}."
            return Trace(says, (), lines, (("angle", angle(row, column)),))

        def explain(table: Table, row: int, column: int) -> Trace:
            name = "sine" if function(column) == "sin" else "cosine"
            says = f"Column {column} counted from 0 is {'even' if column % 2 == 0 else 'odd'}: the {name} of its angle."
            lines = (("angle", angle(row, column)),)
            footer = (function(column), table.number(row, column))
            return Trace(says, (), lines, (footer,), (angles.of_cell(row, column),))

        rows = [f"{position} {word}" for position, word in enumerate(words)]
        numbers = [[angle(position, column) for column in range(d_model)] for position in range(len(words))]
        angles = Table(
            "angles", "angle", tuple(rows), self.dimensions, tuple(map(tuple, numbers)), explain_angle, group
        )
        values = tuple(
            tuple(getattr(math, function(column))(number) for column, number in enumerate(line)) for line in numbers
        )
        return angles, Table("positions", "PE", tuple(rows), self.dimensions, values, explain, group)

    # -- layers ---------------------------------------------------------------------------------------------------

    def _weights(
        self, key: str, symbol: str, name: str, rows: Sequence[str], columns: Sequence[str], group: str
    ) -> Table:
        values = self.example.weights(name, len(rows), len(columns))
        return Table(key, symbol, tuple(rows), tuple(columns), values, group=group)

    def _attention(
        self, name: str, queries_of: Table, keys_of: Table, values_of: Table, group: str, *, causal: bool = False
    ) -> list[Table]:
        """Return the tables of an attention of all heads, the last one its output. `name` is that of its weights."""
        found: list[Table] = []
        heads: list[Table] = []
        for head in range(self.sizes.n_head):
            made = self._head(name, head, queries_of, keys_of, values_of, group, causal)
            found += made
            heads.append(made[-1])
        heads_as_one = heads[0] if len(heads) == 1 else t.side_by_side("heads", "Z", heads, group)
        found += [heads_as_one] if len(heads) > 1 else []
        weights = self._weights(
            "w_output", "W_O", _weight_name(name, "output"), heads_as_one.columns, self.dimensions, group
        )
        return [*found, weights, t.product("attended", "A", heads_as_one, weights, group)]

    def _head(
        self, name: str, head: int, queries_of: Table, keys_of: Table, values_of: Table, group: str, causal: bool
    ) -> list[Table]:
        d_k, mark = self.sizes.d_k, str(head + 1) if self.sizes.n_head > 1 else ""
        columns = t.numbered(d_k)
        found: list[Table] = []
        projected: dict[str, Table] = {}
        for part, letter, source in (("query", "Q", queries_of), ("key", "K", keys_of), ("value", "V", values_of)):
            own = _weight_name(name, part) + ("" if head == 0 else f" of head {head + 1}")
            weights = self._weights(f"w_{part}", f"W_{letter}{mark}", own, source.columns, columns, group)
            projected[part] = t.product(part, f"{letter}{mark}", source, weights, group)
            if part == "value" and "value" in self.slips:
                projected[part] = _copied(projected["query"], projected[part])
            found += [weights, projected[part]]
        scores = t.dot_products("scores", f"S{mark}", projected["query"], projected["key"], group)
        length, of = (self.sizes.d_model, "d_model") if "scale" in self.slips else (d_k, "d_k")
        scaled = t.divided("scaled", f"S{mark}/√{of}", scores, math.sqrt(length), f"√{of} = √{length}", group)
        found += [scores, scaled]
        if causal:
            wrong = "mask" in self.slips
            hides_past = wrong and head % 2 == 1
            scaled = t.masked(
                "masked",
                f"mask{mark}",
                scaled,
                (lambda row, column: column < row) if hides_past else (lambda row, column: column > row),
                0.0 if wrong else -math.inf,
                group,
            )
            found.append(scaled)
        attention = t.softmax("attention", f"P{mark}", scaled, group)
        return [*found, attention, t.product("head", f"Z{mark}", attention, projected["value"], group)]

    def _add_and_norm(self, symbol: str, before: Table, found: Table, group: str = "") -> list[Table]:
        added = t.sum_of("residual", f"{before.symbol}+{found.symbol}", before, found, group)
        norm = t.normalised(("statistics", "normalised"), symbol, added, group, of_samples="norm" in self.slips)
        return [added, norm.statistics, norm.normalised]

    def _feed_forward(self, name: str, table: Table, symbol: str, group: str = "") -> list[Table]:
        """Return the tables of relu(x W1 + b1) W2 + b2."""
        units, one = t.numbered(self.sizes.d_ff), ("",)
        first = self._weights("w_hidden", "W₁", f"{name} w_hidden", self.dimensions, units, group)
        first_bias = self._weights("b_hidden", "b₁", f"{name} b_hidden", one, units, group)
        second = self._weights("w_narrow", "W₂", f"{name} w_narrow", units, self.dimensions, group)
        second_bias = self._weights("b_narrow", "b₂", f"{name} b_narrow", one, self.dimensions, group)
        hidden = t.product("hidden", "H", table, first, group, bias=first_bias)
        active = t.rectified("active", "relu(H)", hidden, group)
        narrowed = t.product("narrowed", symbol, active, second, group, bias=second_bias)
        return [first, first_bias, hidden, active, second, second_bias, narrowed]

    # -- the decoder ----------------------------------------------------------------------------------------------

    def _decoder(self, embedding: Table, memory: Table) -> tuple[list[Table], list[Table]]:
        """Return the tables of the decoder's input and of its block; `memory` is what the encoder made of the sentence."""
        written = (START, *self.example.written)
        embedded = t.looked_up("embedded", "E[ids]", embedding, self._ids_of(written), written)
        angles, positions = self._positions(written)
        y = t.sum_of("input", "Y", embedded, positions)
        looks_back, looks_across = "masked attention", "cross-attention"
        own = self._attention("decoder", y, y, y, looks_back, causal=True)
        first = self._add_and_norm("D1", y, own[-1], looks_back)
        across = self._attention("cross", first[-1], memory, memory, looks_across)
        second = self._add_and_norm("D2", first[-1], across[-1], looks_across)
        forward = self._feed_forward("decoder", second[-1], "G", "feed-forward")
        third = self._add_and_norm("D", second[-1], forward[-1], "feed-forward")
        block = [*own, *first, *across, *second, *forward, *third]
        return [self._ids("written", written), embedded, angles, positions, y], block

    def _next_word(self, decoded: Table) -> list[Table]:
        weights = self._weights("w_vocabulary", "W_vocab", "w_vocabulary", self.dimensions, self.vocabulary, "")
        bias = self._weights("b_vocabulary", "b_vocab", "b_vocabulary", ("",), self.vocabulary, "")
        logits = t.product("logits", "L", decoded, weights, bias=bias)
        shares = t.softmax("probabilities", "p", logits)
        return [weights, bias, logits, shares, self._answer(shares)]

    def _answer(self, shares: Table) -> Table:
        """Return the words by probability behind the last written word, with the loss each would have."""
        last = len(shares.rows) - 1
        probabilities = shares.line(last)
        order = sorted(range(len(probabilities)), key=lambda column: -probabilities[column])
        values = tuple((probabilities[column], -math.log(probabilities[column])) for column in order)

        def explain(table: Table, row: int, column: int) -> Trace:
            word, following = table.rows[row], self.example.following
            source = shares.of_cell(last, order[row])
            if column == 0:
                chosen = "The largest, so this is the word that the model would write." if row == 0 else ""
                return Trace(f"The probability of “{word}” in the last row. {chosen}".strip(), sources=(source,))
            says = f"−log of its probability: what the loss would be if “{word}” came next."
            if word == following:
                says += " It does: this is the loss that training lowers."
            chance = (f"chance, ln {len(probabilities)}", math.log(len(probabilities)))
            lines = ((f"p({word})", probabilities[order[row]]),)
            return Trace(says, (), lines, (chance, ("−log p", table.number(row, 1))), (source,))

        rows = tuple(self.vocabulary[column] for column in order)
        return Table("answer", "next", rows, ("probability", "loss if next"), values, explain)


def _weight_name(attention: str, part: str) -> str:
    """Name a weight of an attention; those of the encoder are the ones that the example gives."""
    return f"w_{part}" if attention == "attention" else f"{attention} w_{part}"


def _copied(queries: Table, values: Table) -> Table:
    """Return the queries in place of the values: the slip."""

    def explain(_: Table, row: int, column: int) -> Trace:
        return Trace("Copied from the queries, which is the slip.", sources=(queries.of_cell(row, column),))

    rows = [queries.values[index % len(queries.rows)] for index in range(len(values.rows))]
    return Table(values.key, values.symbol, values.rows, values.columns, tuple(rows), explain, values.group)


@cache
def _spread_of_dot_products() -> Table:
    """Measure the spread of dot products of vectors with independent entries of variance 1, drawn from a fixed seed."""
    source = random.Random("spread")
    values = []
    for length in SPREAD_LENGTHS:
        found = [sum(source.gauss(0, 1) * source.gauss(0, 1) for _ in range(length)) for _ in range(SPREAD_PAIRS)]
        spread = math.sqrt(sum(value * value for value in found) / SPREAD_PAIRS)
        values.append((spread, math.sqrt(length), spread / math.sqrt(length)))

    def explain(_: Table, row: int, column: int) -> Trace:
        length = SPREAD_LENGTHS[row]
        says = (
            f"The root of the mean square of {SPREAD_PAIRS} dot products of vectors of {length} numbers with variance 1.",
            f"The root of {length}: the variances of {length} independent products, 1 each, add up to {length}.",
            "The measured spread over that root: about 1 at every length, but for chance.",
        )
        return Trace(says[column])

    rows = tuple(f"length {length}" for length in SPREAD_LENGTHS)
    return Table("spread", "spread", rows, ("measured", "√length", "after ÷"), tuple(values), explain)
