"""Searching by Optuna: it asks for one run after the other, learns from how they end, and ends those that lie behind.

Its package is the extra `search`. Its memory is the runs themselves: a search that is gone on with is told of all of them again.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.group import RunGroup
from torchtty.engine.contract.experiments.members import Member
from torchtty.engine.contract.experiments.objective import evaluations, objective
from torchtty.engine.contract.experiments.plan import TRIES, Kind, Plan
from torchtty.engine.contract.experiments.values import Value
from torchtty.engine.contract.experiments.variation import Variation
from torchtty.engine.contract.run.status import RunState

if TYPE_CHECKING:
    import optuna

MISSING = "{} needs {}, which is not installed: pip install {}. --plan random and halving need nothing more."
STARTUP = 5  # runs that end before any is ended early
WARM_UP = 0.1  # share of a run's steps in which it is not judged


def check_installed(plan: Plan) -> None:
    """Raise `UserError` where a search lacks its packages."""
    _sampler(plan)


def _sampler(plan: Plan, made: int = 0) -> "optuna.samplers.BaseSampler":
    """Return what chooses settings. A search that is gone on with after so many runs draws others than at its beginning."""
    seed = plan.seed + made
    try:
        import optuna
    except ImportError:
        raise UserError(MISSING.format(f"--plan {plan.kind}", "optuna", "'torchtty[search]'")) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        match plan.kind:
            case Kind.QMC:
                return optuna.samplers.QMCSampler(scramble=True, seed=seed)
            case Kind.CMAES:
                import cmaes  # noqa: F401

                return optuna.samplers.CmaEsSampler(seed=seed)
            case Kind.GP:
                import scipy  # type: ignore[import-untyped] # noqa: F401

                return optuna.samplers.GPSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
    except ImportError as error:
        name = error.name or "another package"
        raise UserError(MISSING.format(f"--plan {plan.kind}", name, name)) from None


class Search:
    """The course of a search."""

    def __init__(self, group: RunGroup, members: Sequence[Member]) -> None:
        """`members` are the runs of the group so far. Raises `UserError` without Optuna."""
        import warnings

        plan = group.plan()
        sampler = _sampler(plan, len(members))
        import optuna

        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=0)
        self._study = optuna.create_study(sampler=sampler, pruner=pruner)
        self._group, self._plan, self._variation = group, plan, group.variation()
        tree = group.tree()
        assert tree is not None
        self._tree, self._open = tree, dict[int, tuple[Any, Member]]()
        self._reported: dict[int, int] = {}
        self._told: dict[int, int] = {}  # the last evaluation of each that the study knows
        self._impossible = 0
        planned = {one.name: one for one in group.planned()}
        self._resumed: list[Member] = []
        self._made = len(planned)
        for member in members:
            self._recall(member, planned[member.run.name].settings, ended=bool(planned[member.run.name].ended))

    def _recall(self, member: Member, settings: Mapping[str, Value], *, ended: bool) -> None:
        """Tell the study of a run of before; one that is not over goes on."""
        if not member.is_over and not ended:
            self._study.enqueue_trial(self._as_parameters(settings))
            trial = self._study.ask()
            self._suggested(trial)
            self._open[trial.number] = (trial, member)
            self._resumed.append(member)
            return
        import optuna

        value = objective(member.status, member.family)
        good = value is not None and math.isfinite(value)
        self._study.enqueue_trial(self._as_parameters(settings))
        trial = self._study.ask()
        self._suggested(trial)
        if ended:
            self._report_all(trial, member)
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif good and member.status.state is RunState.FINISHED:
            self._report_all(trial, member)
            self._study.tell(trial, value)
        else:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)

    def next(self) -> tuple[list[Member], int | None]:
        """Return one run more, with the settings that the sampler asks for."""
        if self._resumed:
            resumed, self._resumed = self._resumed, []
            return resumed, None
        while self._made < self._plan.drawn() and self._impossible < TRIES:
            trial = self._study.ask()
            settings = self._suggested(trial)
            try:
                run = self._group.add(settings, self._tree)
            except UserError:  # these values do not go together
                self._impossible += 1
                import optuna

                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
                continue
            self._made += 1
            member = Member.of(run)
            self._open[trial.number] = (trial, member)
            return [member], None
        return [], None

    def look(self) -> list[Member]:
        """Report evaluations and results to the study; return the runs that lie behind the median of the earlier ones."""
        import optuna

        ended = []
        for number, (trial, member) in list(self._open.items()):
            status = member.status
            if status.state is RunState.RUNNING and self._lies_behind(trial, member):
                self._group.mark({member.run.name: "pruned"})
                self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                ended.append(member)
                del self._open[number]
            elif status.state is RunState.FINISHED and (value := objective(status, member.family)) is not None:
                self._report_all(trial, member)  # a quick run was never seen on its way
                self._study.tell(trial, value)
                del self._open[number]
            elif status.state is RunState.FAILED and (status.diverged or member.attempts):
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
                del self._open[number]
        return ended

    def _lies_behind(self, trial: Any, member: Member) -> bool:
        if member.status.step == self._reported.get(trial.number):
            return False
        self._reported[trial.number] = member.status.step
        self._report_all(trial, member)
        return member.status.step >= WARM_UP * member.max_steps and bool(trial.should_prune())

    def _report_all(self, trial: Any, member: Member) -> None:
        for step, value in evaluations(member.run, member.family):
            if math.isfinite(value) and step > self._told.get(trial.number, -1):
                trial.report(value, step)
                self._told[trial.number] = step

    # -- settings ---------------------------------------------------------------------------------------------------

    def _suggested(self, trial: Any) -> dict[str, Value]:
        """Have the sampler choose a value of everything that varies. Texts and truths are named, as Optuna keeps them."""
        found: dict[str, Value] = {}
        for path in self._variation.paths:
            span = self._variation.spans.get(path)
            if span is None:
                values = self._variation.values[path]
                chosen = values[trial.suggest_categorical(path, list(range(len(values))))]
            elif span.whole:
                chosen = trial.suggest_int(path, int(span.low), int(span.high), log=span.log)
            else:
                chosen = float(f"{trial.suggest_float(path, span.low, span.high, log=span.log):.6g}")
            found[path] = chosen
        return found

    def _as_parameters(self, settings: Mapping[str, Value]) -> dict[str, Any]:
        variation: Variation = self._variation
        return {
            path: value if path in variation.spans else variation.values[path].index(value)
            for path, value in settings.items()
        }
