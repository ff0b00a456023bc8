# SPDX-License-Identifier: GPL-3.0-or-later
"""A fit as a folder: what to do, what came out, and what is needed to go on.

::

    job.json, job.npz         scene and settings (save_job)
    photos/                   copies, where the job must stand alone
    checkpoint.pt             state of the fit (engine.fit)
    result.json, result.npz   the outcome (save_result)
    preview/000.npy           what each photo shows (engine.preview)
    messages.jsonl, log.txt   what the worker said (engine.client)
    run.json, run.lock        whose run it is (engine.runs)

Photos are referred to by absolute path, or copied when the folder is to travel to another machine. Each pair of files
is complete once its .json exists: the .json is written last, by a rename.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from .codec import CodecError, decode, encode
from .errors import PhotoError, SceneError
from .files import atomic_path, require_folder, write_atomic
from .result import FitResult, FitSettings
from .scene import Photo, Scene

FORMAT = 1
JOB = "job"
RESULT = "result"
CHECKPOINT = "checkpoint.pt"

T = TypeVar("T")


def save_job(folder: Path, scene: Scene, settings: FitSettings, copy_photos: bool = False) -> None:
    """Write ``scene`` and ``settings`` into ``folder`` (made if need be). Pixels of photos are left out: the engine
    reads the files. Raises OutputError."""
    require_folder(folder, create=True)
    photos = [_stored_photo(folder, photo, index, copy_photos) for index, photo in enumerate(scene.photos)]
    _save(folder, JOB, {"scene": dataclasses.replace(scene, photos=photos), "settings": settings})


def load_job(folder: Path) -> tuple[Scene, FitSettings]:
    """The scene and settings that save_job wrote. Raises SceneError."""
    data, arrays = _at_once(_load(folder, JOB))
    scene = _value(Scene, data, "scene", arrays, folder)
    settings = _value(FitSettings, data, "settings", arrays, folder)
    for photo in scene.photos:
        photo.path = str(folder / photo.path)  # an absolute path stays as it is
        if photo.mask_path is not None:
            photo.mask_path = str(folder / photo.mask_path)
    return scene, settings


def load_settings(folder: Path) -> FitSettings:
    """The settings alone, without reading the scene. Raises SceneError."""
    return _value(FitSettings, _load_json(folder, JOB), "settings", {}, folder)


def save_result(folder: Path, result: FitResult) -> None:
    """Write ``result`` into ``folder``. Raises OutputError."""
    _save(folder, RESULT, {"result": result})


def load_result(folder: Path) -> FitResult:
    """The result that save_result wrote. Raises SceneError."""
    return _at_once(load_result_in_steps(folder))


def load_result_in_steps(folder: Path) -> Generator[None, None, FitResult]:
    """As load_result, one array at a time, for who must not be kept waiting."""
    data, arrays = yield from _load(folder, RESULT)
    return _value(FitResult, data, "result", arrays, folder)


def _at_once(steps: Generator[None, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def _stored_photo(folder: Path, photo: Photo, index: int, copy: bool) -> Photo:
    stored = dataclasses.replace(photo, pixels=None, mask=None, path=os.path.abspath(photo.path))
    if photo.mask_path is not None:
        stored.mask_path = os.path.abspath(photo.mask_path)
    if copy:
        (folder / "photos").mkdir(exist_ok=True)
        stored.path = _copy(folder, stored.path, f"{index:03d}")
        if stored.mask_path is not None:
            stored.mask_path = _copy(folder, stored.mask_path, f"{index:03d}_mask")
    return stored


def _copy(folder: Path, source: str, name: str) -> str:
    # numbered, since two photos of different folders may have the same name
    target = f"photos/{name}{Path(source).suffix}"
    if not Path(source).is_file():
        raise PhotoError(f'Photo "{source}" does not exist; choose the file anew.')
    shutil.copyfile(source, folder / target)
    return target


def _save(folder: Path, name: str, parts: dict[str, Any]) -> None:
    arrays: dict[str, np.ndarray] = {}
    data: dict[str, Any] = {"likeness": FORMAT}
    for key, value in parts.items():
        data[key] = encode(value, arrays, key)
    require_folder(folder, create=True)
    (folder / f"{name}.json").unlink(missing_ok=True)  # the old pair is not valid from here on
    with atomic_path(folder / f"{name}.npz") as file, open(file, "wb") as npz:
        _write_arrays(npz, arrays)
    write_atomic(folder / f"{name}.json", json.dumps(data, ensure_ascii=False, indent=1))


def _write_arrays(file: BinaryIO, arrays: dict[str, np.ndarray]) -> None:
    # as numpy.savez, which leaves an open archive behind when the disk is full
    with zipfile.ZipFile(file, "w") as archive:
        for key, array in arrays.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _load(folder: Path, name: str) -> Generator[None, None, tuple[dict[str, Any], dict[str, np.ndarray]]]:
    data = _load_json(folder, name)
    arrays = {}
    try:
        with open(folder / f"{name}.npz", "rb") as npz, np.load(npz, allow_pickle=False) as stored:
            for key in stored.files:
                arrays[key] = stored[key]
                yield
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise _damaged(folder, name, error) from error
    return data, arrays


def _load_json(folder: Path, name: str) -> dict[str, Any]:
    file = folder / f"{name}.json"
    try:
        data = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise SceneError(f'"{folder}" is not a folder of a Likeness run: it has no {file.name}.') from None
    except (OSError, ValueError) as error:
        raise _damaged(folder, name, error) from error
    if not isinstance(data, dict) or data.get("likeness") != FORMAT:
        raise SceneError(f'"{file}" was written by another version of Likeness; run the fit anew.')
    return data


def _damaged(folder: Path, name: str, error: Exception) -> SceneError:
    return SceneError(f'"{folder / name}.json" is damaged ({error}); run the fit anew.')


def _value(kind: type[T], data: dict[str, Any], key: str, arrays: dict[str, np.ndarray], folder: Path) -> T:
    try:
        return decode(kind, data.get(key), arrays)
    except CodecError as error:
        raise SceneError(f'"{folder}" cannot be read ({error}); run the fit anew.') from error
