"""The command `python -m etfgym.tasks pretrain`, see `etfgym.tasks.pretrain`; tasks are run by `etfgym tasks`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from etfgym.tasks import pretrain


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    Raises:
        SystemExit: With status 2 where something is asked for that is not there.
    """
    parser = argparse.ArgumentParser(prog="python -m etfgym.tasks")
    pretrain.add_command(parser.add_subparsers(required=True, metavar="VERB"))
    options = parser.parse_args(arguments)
    try:
        return int(options.command(options))
    except (ValueError, OSError, ImportError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
