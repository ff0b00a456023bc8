# SPDX-License-Identifier: GPL-3.0-or-later
"""Files appear whole or not at all, and a refusal says why."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from likeness.engine import files
from likeness.engine.errors import OutputError
from likeness.engine.files import atomic_path, require_folder, require_space, write_atomic


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    target = tmp_path / "Größe.txt"
    target.write_text("old")
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
        assert temporary.suffix == ".txt"  # writers choose their format by it
    assert target.read_text() == "new"
    write_atomic(target, "größer")
    assert target.read_bytes() == "größer".encode()
    assert os.listdir(tmp_path) == ["Größe.txt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "result.exr"
    target.write_text("old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half of")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.exr"]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"result\.exr.*disk is full"), atomic_path(tmp_path / "result.exr"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not os.listdir(tmp_path)


def test_a_really_full_device_is_named() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs Linux")

    with pytest.raises(OSError, match="No space left") as caught, open("/dev/full", "wb", buffering=0) as full:
        full.write(b"x")
    assert "disk is full" in str(files._explained(Path("/dev/full"), caught.value))


def test_missing_folder_is_named_or_made(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="folder is not there"):
        write_atomic(tmp_path / "a" / "b.txt", b"x")
    require_folder(tmp_path / "a" / "b", create=True)
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    for create in (False, True):
        with pytest.raises(OutputError, match="a file where a folder"):
            require_folder(tmp_path / "a", create=create)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="read-only"):
            require_folder(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_read_only_file_system_is_named() -> None:
    if not Path("/proc/version").exists():
        pytest.skip("needs Linux")
    with pytest.raises(OutputError, match="/proc"):
        require_folder("/proc")


def test_space_is_asked_for_before_it_is_used(tmp_path: Path) -> None:
    require_space(tmp_path, 1)
    with pytest.raises(OutputError, match="MB free"):
        require_space(tmp_path, 2 * shutil.disk_usage(tmp_path).total)


def test_a_disk_that_fills_up_leaves_nothing(full_disk: Path) -> None:
    write_atomic(full_disk / "result.exr", b"old")
    with pytest.raises(OutputError, match="disk is full"):
        write_atomic(full_disk / "result.exr", b"x" * (1 << 20))
    assert (full_disk / "result.exr").read_bytes() == b"old"
    assert os.listdir(full_disk) == ["result.exr"]
    with pytest.raises(OutputError, match="MB free"):
        require_space(full_disk, 1000)
