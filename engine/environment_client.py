# SPDX-License-Identifier: GPL-3.0-or-later
"""The parent's end of environment_worker.py: start a set-up, read how far it is, stop it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from .child import Child, clean_environment
from .environment import Engine, Request
from .errors import CancelledError, EngineMissingError, LikenessError, OutputError, UsageError
from .files import require_folder, write_atomic

_WORKER = Path(__file__).with_name("environment_worker.py")
_ERRORS = {kind.exit_code: kind for kind in (UsageError, OutputError, EngineMissingError, CancelledError)}


@dataclass
class Step:
    """How far a set-up is: a line for the artist, and a factor between 0 and 1."""

    text: str
    factor: float


class SetUp:
    """A running set-up below ``root``, done by ``host``: Blender's own Python, from which the environment is made.

    Raises EngineMissingError where ``host`` cannot make one, OutputError where ``root`` cannot be written.
    """

    def __init__(self, root: Path, request: Request, host: str = sys.executable) -> None:
        self.engine: Engine | None = None
        self._error: LikenessError | None = None
        require_host(host, request.source in ("ONLINE", "WHEELS"))
        require_folder(root, create=True)
        try:
            folder = Path(tempfile.mkdtemp(prefix="setup-", dir=root))
            write_atomic(folder / "request.json", json.dumps(asdict(request)))
            self._child = Child([host, str(_WORKER), str(folder)], folder, clean_environment())
        except OSError as error:
            raise OutputError(f'The set-up of the engine cannot start in "{root}": {error.strerror}.') from error

    def poll(self) -> list[Step]:
        """Steps since the last call. Sets ``engine`` once it is set up; raises the error that ended the set-up."""
        over = self._child.is_over()
        steps = []
        for message in self._child.read():
            kind = message.pop("type")
            if kind == "step":
                steps.append(Step(**message))
            elif kind == "result":
                self.engine = Engine(**message["engine"])
            elif kind == "error":
                self._error = _ERRORS.get(message["exit_code"], LikenessError)(message["message"])
        if self._error is not None and over:
            raise self._error
        if over and self.engine is None:
            raise EngineMissingError(f"The set-up of the engine {self._child.last_words()}")
        return steps

    def wait(self, interval: float = 0.1) -> Iterator[Step]:
        """Steps until the engine is there."""
        while self.engine is None:
            yield from self.poll()
            if self.engine is None:
                time.sleep(interval)

    def cancel(self) -> None:
        """Ask it to stop; ``poll`` raises CancelledError once everything that was begun is gone."""
        self._child.tell("cancel")

    def close(self) -> None:
        """Let go of it; one that still runs is stopped. What it leaves behind goes at the next start."""
        self._child.close(patience=3.0)


def require_host(python: str, makes_environment: bool) -> None:
    """Make sure that ``python`` is a Python and, where it has to, can make virtual environments.

    Raises EngineMissingError with the name of what is missing.
    """
    program = "import importlib.util as u; print(*(n for n in ('venv', 'ensurepip') if u.find_spec(n) is None))"
    try:
        done = subprocess.run(
            [python, "-I", "-c", program],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env=clean_environment(),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineMissingError(
            f'"{python}" is not a Python that can be started, so it cannot make an environment for the engine; choose '
            "an existing Python that has torch and Warp instead."
        ) from error
    missing = done.stdout.split()
    if missing and makes_environment:
        raise EngineMissingError(
            f'The Python "{python}" cannot make an environment for the engine, since it has no '
            f"{' and no '.join(missing)}; install the system's package for it (on Debian and Ubuntu python3-venv), or "
            "choose an existing Python that has torch and Warp."
        )
