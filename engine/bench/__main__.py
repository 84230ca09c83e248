"""`python -m torchtty.engine.bench SECONDS COUNT MODEL …`: print steps a second, loop and plain loop, one JSON line a model."""

import json
import sys
from dataclasses import asdict

from torchtty.engine.bench.elsewhere import Elsewhere


def main(arguments: list[str]) -> int:
    """Measure models in stretches of so many seconds, as a worker would train them."""
    seconds, count, models = float(arguments[0]), int(arguments[1]), arguments[2:]
    with Elsewhere() as elsewhere:  # it imports torch while this process does
        from torchtty.engine.bench.speed import MODELS, stretches
        from torchtty.engine.worker.warm_up import warm_up

        warm_up()
        for model in models or list(MODELS):
            print(json.dumps(asdict(stretches(model, elsewhere, seconds, count))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
