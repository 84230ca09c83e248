"""Rules on how the training loss moves: out of memory, diverging, saturated, steps too large or too small, standing still.

Each rule looks at a case and returns a finding or nothing. The thresholds were set on the recipes that ship, none of which is to
be found fault with that is not as the rule says.
"""

from math import isfinite

from torchtty.engine.contract.diagnosis.case import RATE, Case
from torchtty.engine.contract.diagnosis.finding import Change, Evidence, Finding
from torchtty.engine.contract.settings.fields import show

NO_MEMORY = (" asked for", "not enough memory", "out of memory", "allocate memory")
"""Ours, those of earlier versions, and torch's words."""
RISEN = 0.4  # of what was learnt that is lost again: a recipe's own spikes stay below a tenth of it
LEARNT = 0.05  # of the first loss: what fell less has not learnt anything that could be lost
SURE_AND_WRONG = 1.5  # times chance: scaled first weights begin within a few percent of it
NO_GRADIENT = 1e-3  # the norm of a network's gradient at chance is 0.1 to 10
HARDLY_ANY = 0.05  # of one that is sure and wrong 3 to 30
PATIENCE = 300  # steps behind the warm-up in which every recipe has left chance behind
BARELY = 0.25  # of the way from chance to counting single tokens, which a network goes in its first hundred steps
STUCK = 0.05  # of that way: what comes down by less from a run's second quarter to its last is stuck; a recipe by 0.07
FLAT = 0.03  # of what was learnt: less than that in the second half of a run is standing still
FLAT_STEPS = 10_000  # before so many, a loss that stands still may only rest


def out_of_memory(case: Case) -> Finding | None:
    """It failed because memory ran out."""
    message = case.status.message.lower()
    if not case.failed or not any(words in message for words in NO_MEMORY):
        return None
    reason = "half the examples a step need about half the memory beside the weights"
    batch = case.value("training.batch_size") or 0
    change = case.change("training.batch_size", batch // 2, reason) if batch > 1 else None
    if change is None and (context := case.value("model.block_size")):
        change = case.change("model.block_size", context // 2, "a context of half the length needs less memory")
    step = case.status.step
    sentence = "The model, its gradients and what a step computes were more than the memory holds."
    return Finding("memory", "ran out of memory", sentence, Evidence(_loss(case), step, step), change)


def diverges(case: Case) -> Finding | None:
    """A loss left the numbers, or rose again by much of what had been learnt."""
    for name in case.losses:
        if (broken := case.trend(name).broken) is not None:
            at, title = int(broken), case.family.metric(name).description or case.family.metric(name).title
            sentence = f"The {title} stopped being a finite number at step {at:,}: the steps are too large."
            evidence = Evidence(name, at, at)
            return Finding("diverges", f"diverges at step {at:,}", sentence, evidence, _smaller_steps(case), at - 1)
    trend = case.training
    recent, best = trend.recent(case.recent_rows), trend.lowest(case.recent_rows)
    if not case.is_judged or recent is None or best is None or recent.last < case.warm_up:
        return None
    begun = trend.start[1]
    learnt = (begun if case.chance is None else min(begun, case.chance)) - best.mean
    if learnt > LEARNT * begun:
        before, limit = best, best.mean + RISEN * learnt
        lost = recent.mean > limit and recent.low > best.mean
        was = f"{best.mean:.3f} around step {best.last:,.0f}"
    else:
        before, limit = trend.stretches[0], (1 + LEARNT) * max(begun, case.chance or 0.0)
        lost = recent.low > limit
        was = f"the {begun:.3f} of the first step"
    if not lost:
        return None
    since = next(
        (part.first for part in trend.stretches if part.first >= before.first and part.mean > limit), recent.first
    )
    sentence = f"The training loss rose from {was} to {recent.mean:.3f}, and stays up: the steps are too large."
    evidence = Evidence(case.losses[0], int(since), int(recent.last), (("before", before.mean), ("now", recent.mean)))
    what, change = f"diverges since step {since:,.0f}", _smaller_steps(case)
    return Finding("diverges", what, sentence, evidence, change, int(before.last))


def _smaller_steps(case: Case) -> Change | None:
    return case.stepped(RATE, -2, "smaller steps do not overshoot")


def is_sure_and_wrong(case: Case) -> Finding | None:
    """The first loss lies far above chance: the untrained network is sure of something wrong."""
    step, value = (
        case.trend("train_eval_loss").start if case.trend("train_eval_loss").stretches else case.training.start
    )
    chance = case.chance
    if chance is None or not case.begins_untrained or not isfinite(value) or value < SURE_AND_WRONG * chance:
        return None
    sentence = (
        f"The first loss is {value:.2f}, and one who knows nothing has {chance:.2f}: the first weights are so large that the "
        "network is sure and wrong, its units are saturated, and the first steps only undo that."
    )
    evidence = Evidence(case.losses[0], int(step), int(step), (("first", value), ("chance", chance)))
    return Finding("saturated", "starts saturated", sentence, evidence, _gentler_start(case))


def has_no_gradient(case: Case) -> Finding | None:
    """The gradient has vanished although hardly anything was learnt."""
    norms, trend = case.trend("grad_norm"), case.training
    recent = norms.recent(case.recent_rows)
    now = trend.recent(case.recent_rows)
    known = case.unigram if case.unigram is not None else case.chance
    if not case.is_judged or recent is None or now is None or known is None:
        return None
    most = NO_GRADIENT if case.chance is None or now.mean < SURE_AND_WRONG * case.chance else HARDLY_ANY
    if recent.high > most or now.mean < known:
        return None
    since = next(part.first for part in norms.stretches if part.last >= recent.first or part.high <= most)
    sentence = (
        f"The gradient has shrunk to {recent.mean:.1g} while the loss stands at {now.mean:.3f}, no better than {known:.3f} for "
        "counting single tokens: units or outputs are saturated, and nothing moves them any more."
    )
    objective = case.value("training.loss")
    change = _gentler_start(case)
    if objective in ("mse", "l1", "bce"):
        reason = "the gradient of cross-entropy does not vanish where the network is sure and wrong"
        change = case.change("training.loss", "cross-entropy", reason) or change
    evidence = Evidence("grad_norm", int(since), int(recent.last), (("gradient", recent.mean), ("loss", now.mean)))
    return Finding("saturated", f"is saturated since step {since:,.0f}", sentence, evidence, change)


def _gentler_start(case: Case) -> Change | None:
    spec = case.specs.get("model.initialisation")
    if spec is not None:
        return case.change(spec.path, spec.default, "scaled first weights start at chance")
    return case.stepped(RATE, -2, "smaller steps do not drive the units into saturation")


def learns_too_slowly(case: Case) -> Finding | None:
    """The loss barely moves, steadily: the steps are too small."""
    trend, chance = case.training, case.chance
    recent = trend.recent(case.recent_rows)
    if not case.is_judged or recent is None or chance is None or not case.begins_untrained:
        return None
    if recent.last < case.warm_up + PATIENCE or recent.last < case.edited() + PATIENCE:
        return None
    goal = min(case.unigram if case.unigram is not None else chance, 0.9 * chance)
    if not chance - BARELY * (chance - goal) < recent.mean < (1 + LEARNT) * chance:
        return None
    if trend.peak > SURE_AND_WRONG * chance:
        return None  # it comes down from somewhere
    rate = case.value(RATE)
    change = case.stepped(RATE, 3, "ten times the step leaves chance behind ten times as soon")
    sentence = (
        f"After {recent.last:,.0f} steps the loss is {recent.mean:.3f}, and one who knows nothing has {chance:.3f}: with a rate of "
        f"{show(rate)} the steps are too small to get anywhere."
    )
    evidence = Evidence(
        case.losses[0], int(trend.start[0]), int(recent.last), (("now", recent.mean), ("chance", chance))
    )
    return Finding("slow", "barely learns", sentence, evidence, change)


def steps_too_far(case: Case) -> Finding | None:
    """The loss came down at once to what counting comes to, and stays: the steps are too large to learn more."""
    trend, chance = case.training, case.chance
    known = case.bigram if case.sees_context else None
    if known is None or chance is None or not case.is_judged or not case.begins_untrained:
        return None
    if trend.start[1] > SURE_AND_WRONG * chance:
        return None  # what it began with holds it back
    half, recent = trend.last / 2, trend.recent(case.recent_rows)
    early, late = trend.between(half / 2, half), trend.between(half * 1.5)
    if early is None or late is None or recent is None:
        return None
    if trend.last < case.warm_up + 2 * PATIENCE or half < case.edited():
        return None
    learnt = chance - known
    if learnt < LEARNT * chance or not known < recent.mean < chance - BARELY * learnt:
        return None
    if early.mean - late.mean > STUCK * learnt:
        return None  # it still comes down
    sentence = (
        f"Since step {half:,.0f} the loss stands at {recent.mean:.3f}, and counting pairs of tokens comes to {known:.3f}: the "
        "steps are so large that nothing finer is learnt."
    )
    change = case.stepped(RATE, -3, "a tenth of the step lets finer things be learnt")
    values = (("now", recent.mean), ("pairs of tokens", known))
    evidence = Evidence(case.losses[0], int(half), int(recent.last), values)
    return Finding("coarse", "steps too far to learn", sentence, evidence, change)


def has_plateaued(case: Case) -> Finding | None:
    """Neither loss has moved in the second half of a long run whose rate does not fall by itself."""
    trend, val = case.training, case.validation
    half = trend.last / 2
    if trend.last < FLAT_STEPS or not case.is_judged or case.edited() > half or len(val.stretches) < 8:
        return None
    if case.value("schedule.kind") != "constant" or not case.sees_context:
        return None
    early, late = trend.between(half, half * 1.25), trend.between(trend.last - half / 4)
    val_early, val_late = val.between(half / 2, half), val.between(half)
    if early is None or late is None or val_early is None or val_late is None:
        return None
    top = trend.start[1] if case.chance is None else min(trend.start[1], case.chance)
    margin = FLAT * (top - late.mean)
    if early.mean - late.mean > margin or val_early.low - val_late.low > margin:
        return None
    sentence = (
        f"The training loss was {early.mean:.3f} around step {early.first:,.0f} and is {late.mean:.3f} now: the second half of the "
        "run brought next to nothing, and the validation loss has hardly moved either."
    )
    change = case.stepped(RATE, -2, "smaller steps average over more batches, and the loss falls once more")
    values = (("before", early.mean), ("now", late.mean))
    evidence = Evidence(case.losses[0], int(half), int(trend.last), values)
    return Finding("plateau", f"has plateaued since step {half:,.0f}", sentence, evidence, change, int(half))


def _loss(case: Case) -> str:
    return case.losses[0] if case.losses else ""
