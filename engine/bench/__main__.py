"""`python -m torchtty.engine.bench [--busy] SECONDS ROUNDS MODEL …` prints steps a second of both loops, a JSON line a model."""

import json
import sys
from dataclasses import asdict

from torchtty.engine.bench.elsewhere import Elsewhere


def main(arguments: list[str]) -> int:
    """Measure models in turns of so many seconds, as a worker would train them; with --busy beside a program that takes a core."""
    busy, rest = "--busy" in arguments, [each for each in arguments if each != "--busy"]
    seconds, rounds, models = float(rest[0]), int(rest[1]), rest[2:]
    with Elsewhere() as elsewhere:  # it imports torch while this process does
        from torchtty.engine.bench.speed import MODELS, against_plain_loop, beside_a_neighbour
        from torchtty.engine.worker.warm_up import warm_up

        warm_up()
        measure = beside_a_neighbour if busy else against_plain_loop
        for model in models or list(MODELS):
            print(json.dumps(asdict(measure(model, elsewhere, seconds, rounds))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
