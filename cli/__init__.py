# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: ``likeness …``, ``python -m likeness …``, ``blender FILE --command likeness …``."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

from ..engine.errors import EXIT_CANCELLED, EXIT_INTERNAL, EXIT_OK, LikenessError, UsageError
from ..engine.run import named_errors
from .arguments import parser
from .console import Console, own_stdout


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code (engine/errors.py); nothing is raised."""
    from .. import __version__

    try:
        options = parser(__version__).parse_args(list(argv))
    except SystemExit as end:  # --help, --version
        return end.code if isinstance(end.code, int) else EXIT_OK
    except UsageError as error:
        Console(sys.stdout).fail(str(error), error.exit_code)
        return error.exit_code
    with own_stdout() as stream, warnings.catch_warnings():
        console = Console(stream, getattr(options, "progress", "plain"))
        if not os.environ.get("LIKENESS_VERBOSE"):
            # what libraries warn developers of; stderr is for what concerns the artist
            warnings.simplefilter("ignore")
        try:
            with named_errors():
                return _run(options, console)
        except LikenessError as error:
            console.fail(str(error), error.exit_code)
            return error.exit_code
        except KeyboardInterrupt:
            console.fail("Stopped at once; nothing was written.", EXIT_CANCELLED)
            return EXIT_CANCELLED
        except Exception as error:
            if os.environ.get("LIKENESS_VERBOSE"):
                traceback.print_exc()
            console.fail(
                f"Internal error: {error!r} in {_place(error)}; a bug in Likeness, LIKENESS_VERBOSE=1 shows more.",
                EXIT_INTERNAL,
            )
            return EXIT_INTERNAL


def run() -> None:
    """Console script and ``python -m likeness``."""
    sys.exit(main(sys.argv[1:]))


def _run(options: argparse.Namespace, console: Console) -> int:
    # each command imports what it needs: `likeness --help` must not wait for Blender
    if options.command == "fit":
        from . import fit

        return fit.run(options, console)
    if options.command == "render":
        from . import render

        return render.run(options, console)
    if options.command == "check":
        from . import check

        return check.run(options, console)
    from . import import_cameras

    return import_cameras.run(options, console)


def _place(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{os.path.basename(last.filename)}:{last.lineno}"
