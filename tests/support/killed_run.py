"""A script: `python -m backtests.run` where a training has a checkpoint every 400 transitions, and no controls."""

import sys

from agents import market
from backtests import run

CHECKPOINT_EVERY = 400


def main(arguments):
    market.CHECKPOINT_EVERY = CHECKPOINT_EVERY
    run.controls = lambda *_, **__: []  # their jobs are jobs like the others
    return run.main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
