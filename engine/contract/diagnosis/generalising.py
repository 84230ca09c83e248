"""Rules on what was learnt: overfitting, too few data, and a game that one adversary has won."""

from torchtty.engine.contract.diagnosis.case import RATE, Case
from torchtty.engine.contract.diagnosis.finding import Change, Evidence, Finding

RISEN = 0.02  # of the best validation loss: less may come from the weights' own jitter
EVALUATIONS = 3  # behind the best one that all have to lie above it
STARVED = 30  # times that every token was seen by then
FEW_TO_A_WEIGHT = 4  # weights to a token from which the text can be known by heart
DECAY = "optimizer.weight_decay"
FIRST_DECAY = 1e-3  # where none is usual: an MLP on 1,000 names came from 2.72 to 2.58 by it after 8,000 steps of SGD
FEW = 500  # tokens of a validation split: a loss of 2 ± 1 nats a token is then known to 0.05 at best
D_WON = 0.01  # the discriminator's loss: right with 99.5 % on real and on drawn pictures alike
G_LOST = 6.0  # the generator's loss: its pictures are held to be real with 0.25 %
GAME = 0.2  # of the steps for which that has been so
SHORTEST_GAME = 200  # steps at least: many games begin like that, and turn within their first 200 steps


def overfits(case: Case) -> Finding | None:
    """The validation loss has risen from its best while the training loss falls: the network learns by heart."""
    val, trend = case.validation, case.training
    best = min(val.stretches, key=lambda part: part.mean, default=None)
    if best is None or not case.is_judged:
        return None
    later = [part for part in val.stretches if part.first > best.last]
    if len(later) < EVALUATIONS:
        return None
    last = later[-EVALUATIONS:]
    now, limit = sum(part.mean for part in last) / len(last), best.mean + max(RISEN * best.mean, 3 * val.jitter())
    before, recent = trend.between(best.first - _width(case), best.last + _width(case)), trend.recent(case.recent_rows)
    if (
        before is None
        or recent is None
        or min(part.mean for part in last) < limit
        or recent.mean >= min(before.mean, best.mean)
    ):
        return None
    start = int(best.first)
    shown = (
        ("best validation", best.mean),
        ("validation", now),
        ("training then", before.mean),
        ("training", recent.mean),
    )
    evidence = Evidence(case.family.watched or "", start, int(val.last), shown)
    course = (
        f"The validation loss rose from {best.mean:.3f} at step {start:,} to {now:.3f}, while the training loss fell from "
        f"{before.mean:.3f} to {recent.mean:.3f}"
    )
    since = f" since step {start:,}" if start else ""
    change = _regularised(case)
    tokens = case.tokens.get("train", 0)
    if case.epochs < STARVED or FEW_TO_A_WEIGHT * tokens > case.parameters:
        sentence = f"{course}: what it learns now holds for the training data alone."
        return Finding("overfits", f"overfits{since}", sentence, evidence, change, start)
    few = f"{tokens:,} tokens are few for {case.parameters:,} weights, and each was seen {case.epochs:,.0f} times"
    sentence = f"{course}: {few}."
    more = case.change("data.limit", None, "all of the data are harder to learn by heart")
    # More data make another run of it, which cannot go on from a checkpoint.
    return Finding("starves", f"starves on data{since}", sentence, evidence, more or change, None if more else start)


def _width(case: Case) -> float:
    """Return the steps before and behind an evaluation whose training loss is compared with it."""
    return case.training.last * 0.05


def _regularised(case: Case) -> Change | None:
    """Return what makes it harder to learn by heart: dropout where the model has it, else weight decay."""
    dropout, decay = case.value("model.dropout"), case.value(DECAY)
    if dropout is not None and dropout < 0.5:
        wanted = 0.2 if dropout < 0.2 else round(min(0.5, dropout + 0.1), 2)
        return case.change("model.dropout", wanted, "what any unit may miss cannot be learnt by heart")
    reason = "small weights cannot single out examples"
    if decay:
        return case.stepped(DECAY, 2, reason)
    return case.change(DECAY, case.specs[DECAY].default or FIRST_DECAY, reason) if DECAY in case.specs else None


def validates_on_too_little(case: Case) -> Finding | None:
    """The validation split is so small that its loss says little."""
    have, train = case.tokens.get("val", 0), case.tokens.get("train", 0)
    fraction = case.value("data.val_fraction")
    if not case.validation.stretches or not 0 < have < FEW or train < 2 * have or not fraction:
        return None
    sentence = f"The validation split has {have:,} tokens: its loss is known to about {2 / have**0.5:.2f} nats, and says little."
    wanted = next((share for share in (0.1, 0.2, 0.3) if share > fraction and share * (have + train) >= FEW), 0.3)
    change = case.change("data.val_fraction", wanted, "more tokens to validate on make the loss more certain")
    evidence = Evidence(case.family.watched or "", int(case.validation.start[0]), int(case.validation.last))
    return Finding("few", "validates on very little", sentence, evidence, change)


def game_is_lost(case: Case) -> Finding | None:
    """The discriminator is always right, so that the generator learns nothing from it any more."""
    names = ("loss_d", "loss_g")
    if not set(names) <= set(case.losses):
        return None
    judge, painter = (case.trend(name) for name in names)
    length = max(SHORTEST_GAME, GAME * judge.last)
    first = judge.last - length
    of_judge, of_painter = judge.between(first), painter.between(first)
    if of_judge is None or of_painter is None or first < 1:
        return None
    if of_judge.mean > D_WON or of_painter.mean < G_LOST:
        return None
    since = next(part.first for part in judge.stretches if part.high <= D_WON or part.first >= first)
    sentence = (
        f"The discriminator's loss has come to {of_judge.mean:.1g} and the generator's to {of_painter.mean:.1f}: every drawn "
        "picture is told from a real one, and that it always fails teaches the generator nothing."
    )
    change = None
    if (case.value("optimizer.beta1") or 0) > 0.5:
        change = case.change(
            "optimizer.beta1", 0.5, "with less memory of past gradients the game swings less (Radford et al.)"
        )
    change = change or case.stepped(RATE, -2, "smaller steps leave neither so far behind")
    values = (("discriminator", of_judge.mean), ("generator", of_painter.mean))
    evidence = Evidence("loss_g", int(since), int(judge.last), values)
    return Finding("collapses", f"collapses since step {since:,.0f}", sentence, evidence, change, int(since))
