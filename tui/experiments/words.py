"""What a group has come to in a sentence or two, as it stands below every view."""

from torchtty.engine.contract.experiments.comparison import losses_of_runs, verdict
from torchtty.engine.contract.experiments.results import Results
from torchtty.engine.contract.experiments.standings import race_verdict
from torchtty.tui.experiments.choices import Choices


def words_of(results: Results, choices: Choices) -> tuple[str, ...]:
    """Return which setting is best, and what came to nothing; nothing where there is nothing to say."""
    said = race_verdict(results) if results.race else verdict(results, choices.metric, choices.at)
    return tuple(filter(None, (said, losses_of_runs(results))))
