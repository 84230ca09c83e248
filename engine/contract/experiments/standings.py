"""How the models of a race stand: what each needs per character, and what its idea has bought over the one before."""

from dataclasses import dataclass, replace

from torchtty.engine.contract.experiments.race import BITS, BudgetKind, Race
from torchtty.engine.contract.experiments.results import Member, Results
from torchtty.engine.contract.experiments.tables import Cell, Table, written
from torchtty.engine.contract.experiments.variation import MODEL
from torchtty.engine.contract.run.status import RunState

TITLE = "{name}: {corpus}, {budget} each, in bits per character of text that no model has learnt from"
ALONE = "One model after the other: each has all cores, or the GPU, to itself, and none is batched with others."
SPENT = {
    BudgetKind.SECONDS: "Seconds are those of training, evaluations and samples left out; a run ends with the step in which they "
    "are over. How many steps that makes is not known beforehand, so every learning rate stays constant.",
    BudgetKind.STEPS: "A step is a batch of the model's own size, so it costs some much more than others: see the seconds.",
    BudgetKind.FLOPS: "FLOPs are those of matrix products, forwards and backwards. What multiplies no matrices spends none: it "
    "keeps the steps of its own settings.",
}
LADDER = "From the weakest to the strongest; bought: bits fewer than the row above. One seed each: small steps may be chance."


@dataclass(frozen=True)
class Standing:
    """A model of a race at one moment.

    `bits` are those of its latest evaluation, None before the first; `bought` is by how much they are below the row above.
    """

    member: Member
    name: str
    flops: float  # spent so far
    bits: float | None
    bought: float | None = None


def standings(results: Results) -> list[Standing]:
    """Return the models, the weakest first; those without a result at the end. The first is held against chance."""
    assert results.race is not None
    found = [_standing(member, results.race) for member in results.members]
    with_bits = sorted((one for one in found if one.bits is not None), key=lambda one: -(one.bits or 0.0))
    ladder, before = [], with_bits[0].member.chance if with_bits else None
    for one in with_bits:
        assert one.bits is not None
        ladder.append(replace(one, bought=None if before is None else before - one.bits))
        before = one.bits
    return [*ladder, *(one for one in found if one.bits is None)]


def _standing(member: Member, race: Race) -> Standing:
    name = str(member.settings.get(MODEL, member.name))
    return Standing(member, name, race.flops.get(name, 0.0) * member.status.step, member.value(BITS))


def race_table(results: Results) -> Table:
    """Return the models from the weakest to the strongest, with what each was given and what it came to."""
    assert results.race is not None
    ladder = standings(results)
    rows: list[tuple[Cell, ...]] = []
    quiet = set[int]()
    if ladder and ladder[0].bits is not None and (chance := ladder[0].member.chance) is not None:
        quiet.add(0)
        rows.append(("chance", None, None, None, None, chance, None))
    for one in ladder:
        status = one.member.status
        over = status.state is RunState.FINISHED
        name = one.name if over else f"{one.name} ({one.member.state})"
        flops = f"{one.flops:.2g}".replace("e+", "e") if one.flops else None
        rows.append((name, status.parameters, status.step, float(status.seconds), flops, one.bits, one.bought))
    headings = ("model", "parameters", "steps", "seconds", "FLOPs", "bits/char", "bought")
    race = results.race
    title = TITLE.format(name=results.name, corpus=race.corpus, budget=race.budget)
    return Table(title, headings, tuple(rows), (LADDER, ALONE, SPENT[race.budget.kind]), frozenset(quiet))


def race_verdict(results: Results) -> str:
    """Say which model leads, by how much, and what all of them have bought together; nothing before two have a result."""
    ladder = [one for one in standings(results) if one.bits is not None]
    if len(ladder) < 2:
        return ""
    first, second = ladder[-1], ladder[-2]
    done = all(not one.member.status.state.is_live for one in ladder) and len(ladder) == len(results.members)
    verb = "needs" if done else "so far needs"
    said = f"{first.name} {verb} {written(first.bits)} bits per character, {_fewer(first)} fewer than {second.name}"
    biggest = max(ladder[1:], key=lambda one: one.bought or 0.0)
    if biggest is not first and biggest.bought:
        said += f"; the largest step is that to {biggest.name}, {_fewer(biggest)}"
    return f"{said}. One seed each: small steps may be chance."


def _fewer(one: Standing) -> str:
    return written(one.bought)
