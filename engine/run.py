# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a fit to its end in this process: progress out, a stop request in, every failure a named error.

The command line, the Python API and the worker process all come through here.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import CancelledError, EngineMissingError, LikenessError, OutOfMemoryError, OutputError

if TYPE_CHECKING:  # this module must load where even numpy is missing, to say so
    import torch

    from .fit import FitRun
    from .result import FitResult, FitSettings, Progress
    from .scene import Scene

REQUIRED_MODULES = ("torch", "warp", "PIL")


def engine_installed() -> bool:
    """Whether this Python can run the engine; imports nothing heavy."""
    return all(find_spec(name) is not None for name in REQUIRED_MODULES)


def run_fit(
    scene: Scene,
    settings: FitSettings,
    run_dir: Path | None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
    watch: Callable[[FitRun, int, torch.Tensor], None] | None = None,
) -> FitResult:
    """Fit ``scene`` and return the result; ``cancelled`` is set in it where ``stop`` said True before the end.

    ``stop`` is asked after each step and may take its time. ``watch`` sees the pictures (engine.fit). Raises a
    LikenessError, whatever went wrong short of a bug in Likeness.
    """
    with named_errors():
        from .fit import fit

        steps = fit(scene, settings, run_dir, resume, watch)
        try:
            while True:
                on_progress(next(steps))
                if stop():
                    # the generator saves its checkpoint and returns what was reached
                    steps.throw(CancelledError("The fit was stopped."))
        except StopIteration as end:
            return end.value
        finally:
            steps.close()


@contextmanager
def named_errors() -> Iterator[None]:
    """Turn a missing package, lack of memory and a full disk into the errors that say so."""
    try:
        yield
    except LikenessError:
        raise
    except ImportError as error:
        name = (error.name or "").partition(".")[0]
        if not name or name == __package__.partition(".")[0]:
            raise
        raise EngineMissingError(
            f"The Python package {name} is not installed for {sys.executable}; install Likeness' dependencies there, "
            "or set LIKENESS_PYTHON (in Blender: the add-on's preferences) to a Python that has them."
        ) from error
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        where = f' while writing "{error.filename}"' if error.filename else ""
        raise OutputError(f"The disk is full{where}; free some space and go on with --resume.") from error
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            "Not enough memory for this fit; choose a smaller resolution or texture size, or fewer photos."
        ) from error


def _is_out_of_memory(error: BaseException) -> bool:
    # torch raises its own class on CUDA and a plain RuntimeError from the CPU allocator, Warp a RuntimeError
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "out of memory" in text
        or "can't allocate memory" in text
        or "failed to allocate" in text
    )
