# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints: what comes back, and which are refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from likeness.engine.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from likeness.engine.errors import UsageError
from likeness.engine.job import CHECKPOINT

FINGERPRINT: dict[str, object] = {"targets": ["base_color@Gold"], "seed": 3, "photos": ["ein Foto ä"]}


def checkpoint() -> Checkpoint:
    tensor = torch.rand(3, 4, generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.Adam([tensor.clone().requires_grad_()], lr=0.1)
    optimizer.param_groups[0]["params"][0].sum().backward()
    optimizer.step()
    return Checkpoint(
        FINGERPRINT, 2, 5, 77, {"bundle 0": tensor}, optimizer.state_dict(), [(1, "light", 0.5)], {"light": 1.25}
    )


def test_everything_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "new folder" / "run"
    saved = checkpoint()
    save_checkpoint(folder, saved)
    loaded = load_checkpoint(folder, FINGERPRINT)
    for name in ("fingerprint", "stage", "block", "iteration", "history", "seconds"):
        assert getattr(loaded, name) == getattr(saved, name)
    assert torch.equal(loaded.parameters["bundle 0"], saved.parameters["bundle 0"])
    for key, value in saved.optimizer["state"][0].items():
        assert torch.equal(loaded.optimizer["state"][0][key], value)
    assert [path.name for path in folder.iterdir()] == [CHECKPOINT]  # no temporary file is left


def test_nothing_to_resume_from(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="without --resume"):
        load_checkpoint(tmp_path, FINGERPRINT)


def test_a_checkpoint_of_another_fit(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint())
    with pytest.raises(UsageError, match="other seed"):
        load_checkpoint(tmp_path, FINGERPRINT | {"seed": 4})
    with pytest.raises(UsageError, match="other texture_size"):
        load_checkpoint(tmp_path, FINGERPRINT | {"texture_size": 64})


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other content"])
def test_a_damaged_checkpoint(damage: str, tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint())
    file = tmp_path / CHECKPOINT
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:500])
    elif damage == "other content":
        torch.save({"stage": 1}, file)
    else:
        file.write_bytes(b"" if damage == "empty" else b"not a checkpoint at all")
    with pytest.raises(UsageError, match="cannot be read"):
        load_checkpoint(tmp_path, FINGERPRINT)


class _Trap:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple:
        return Path.touch, (self.witness,)


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_checkpoint_from_elsewhere_runs_no_code(writer: str, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    if writer == "torch":
        torch.save({"fingerprint": _Trap(witness)}, tmp_path / CHECKPOINT)
    else:
        (tmp_path / CHECKPOINT).write_bytes(pickle.dumps(_Trap(witness)))
    with pytest.raises(UsageError, match="cannot be read"):
        load_checkpoint(tmp_path, FINGERPRINT)
    assert not witness.exists()
