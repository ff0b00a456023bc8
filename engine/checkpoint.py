# SPDX-License-Identifier: GPL-3.0-or-later
"""State of a fit on disk."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from .errors import UsageError
from .files import atomic_path
from .job import CHECKPOINT


@dataclass
class Checkpoint:
    """A fit at the start of a block; `fingerprint` says which fit it is of."""

    fingerprint: dict[str, object]
    stage: int
    block: int
    iteration: int
    parameters: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    history: list[tuple[int, str, float]]
    seconds: dict[str, float]
    cycles: dict[str, Any] = field(default_factory=dict)  # state of the CyclesLoop, if there is one


def save_checkpoint(run_dir: Path, checkpoint: Checkpoint) -> None:
    """Write atomically: an interrupted write leaves the older checkpoint. Raises OutputError."""
    run_dir.mkdir(parents=True, exist_ok=True)
    content = dict(vars(checkpoint))
    with atomic_path(run_dir / CHECKPOINT) as temporary:
        torch.save(content, temporary)


def load_checkpoint(run_dir: Path, fingerprint: dict[str, object]) -> Checkpoint:
    """Read the checkpoint of a run. Raises UsageError where there is none, or it belongs to another fit."""
    path = run_dir / CHECKPOINT
    if not path.is_file():
        raise UsageError(f'There is no checkpoint in "{run_dir}" to resume from; start the fit without --resume')
    try:
        # Plain containers and tensors only: a checkpoint from elsewhere cannot run code.
        checkpoint = Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, pickle.UnpicklingError, EOFError, TypeError) as error:
        raise UsageError(f'The checkpoint "{path}" cannot be read ({error}); start the fit without --resume') from error
    different = [key for key, value in fingerprint.items() if checkpoint.fingerprint.get(key) != value]
    if different:
        raise UsageError(
            f'The checkpoint in "{run_dir}" was made with other {", ".join(different)}; '
            "give the same options as for the first start"
        )
    return checkpoint
