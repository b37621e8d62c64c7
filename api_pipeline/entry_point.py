"""The starts of the program: the installed scripts, `python -m api_pipeline`, and the stand-alone executable.

Signals are attended to before anything else is imported. Under load that takes a second, and a program that is stopped
in it ends with 130 all the same, without a traceback (contract 5).
"""

import gc

from api_pipeline.commands.stopping import end_on_signals


def main() -> None:
    """Run the program."""
    _start(is_sdr=False)


def sdr_main() -> None:
    """Run the group `sdr` under its own name, `tec-sdr`."""
    _start(is_sdr=True)


def _start(*, is_sdr: bool) -> None:
    end_on_signals()
    from api_pipeline.common.gc_tuning import collect_seldom

    collect_seldom()
    from api_pipeline import cli

    try:
        (cli.sdr_main if is_sdr else cli.main)()
    finally:
        # The interpreter would look through every object several times: a sixth of the CPU of a short run.
        gc.freeze()


if __name__ == "__main__":
    main()
