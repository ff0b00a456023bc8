# SPDX-License-Identifier: GPL-3.0-or-later
"""transforms.json in its variants, and what is said about broken ones."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likeness.engine.errors import PhotoError, SceneError
from likeness.engine.transforms_json import read_transforms

POSE = [[0, -1, 0, 1.0], [1, 0, 0, 2.0], [0, 0, 1, 3.0], [0, 0, 0, 1]]


def _write(folder: Path, frames: list[dict[str, Any]] | None = None, **settings: Any) -> Path:
    (folder / "photos").mkdir(exist_ok=True)
    (folder / "photos" / "eins.jpg").write_bytes(b"not opened")
    frames = [{"file_path": "photos/eins.jpg", "transform_matrix": POSE}] if frames is None else frames
    path = folder / "transforms.json"
    path.write_text(json.dumps({"frames": frames, **settings}))
    return path


def _size(_: Path) -> tuple[int, int]:
    return 640, 480


def test_global_intrinsics_and_projection(tmp_path: Path) -> None:
    path = _write(tmp_path, fl_x=800, fl_y=790, cx=310, cy=255, w=640, h=480, k1=0.01, k2=0.0)
    (photo,) = read_transforms(path, _size)
    assert (photo.width, photo.height, photo.focal_x, photo.focal_y) == (640, 480, 800, 790)
    assert photo.distortion == {"k1": 0.01}
    assert photo.path == tmp_path / "photos" / "eins.jpg"
    # one unit to the camera's right, two up, four in front: right = world y, up = world -x, behind = world z
    point = np.array([1.0, 2.0, 3.0]) + np.array([-2.0, 1.0, -4.0])
    np.testing.assert_allclose(photo.project(point[None]), [[310 + 800 * 1 / 4, 255 - 790 * 2 / 4]])


def test_camera_angle_and_size_of_the_photo(tmp_path: Path) -> None:
    (photo,) = read_transforms(_write(tmp_path, camera_angle_x=math.pi / 2), _size)
    assert photo.focal_x == pytest.approx(320)
    assert photo.focal_y == pytest.approx(320)
    assert (photo.centre_x, photo.centre_y) == (320, 240)


def test_a_frame_overrides_the_file_and_may_lack_its_extension(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(b"")
    frame = {"file_path": "./photos/eins", "mask_path": "mask.png", "transform_matrix": POSE[:3], "fl_x": 500, "w": 100}
    (photo,) = read_transforms(_write(tmp_path, [frame], fl_x=800, h=50, w=640), _size)
    assert (photo.focal_x, photo.width, photo.height) == (500, 100, 50)
    assert photo.mask_path == tmp_path / "mask.png"
    assert photo.path.name == "eins.jpg"


def test_scale_is_taken_out_of_the_matrix(tmp_path: Path) -> None:
    scaled = np.array(POSE, float)
    scaled[:3, :3] *= 2.5
    frame = {"file_path": "photos/eins.jpg", "transform_matrix": scaled.tolist()}
    (photo,) = read_transforms(_write(tmp_path, [frame], fl_x=800), _size)
    np.testing.assert_allclose(photo.matrix, POSE)


@pytest.mark.parametrize(
    ("frames", "settings", "words"),
    [
        ([], {"fl_x": 1}, '"frames"'),
        (None, {}, "focal length"),
        (None, {"fl_x": -3}, "positive"),
        (None, {"fl_x": "wide"}, "number"),
        (None, {"camera_angle_x": 4}, "camera_angle_x"),
        (None, {"fl_x": 1, "camera_model": "OPENCV_FISHEYE"}, "Undistort"),
        (None, {"fl_x": 1, "is_fisheye": True}, "fisheye"),
        (None, {"fl_x": 1, "w": 0, "h": 5}, "not positive"),
        ([{"transform_matrix": POSE}], {"fl_x": 1}, "file_path"),
        ([{"file_path": "photos/eins.jpg"}], {"fl_x": 1}, "transform_matrix"),
        ([{"file_path": "photos/eins.jpg", "transform_matrix": [[1, 2], [3]]}], {"fl_x": 1}, "transform_matrix"),
        ([{"file_path": "photos/eins.jpg", "transform_matrix": np.zeros((4, 4)).tolist()}], {"fl_x": 1}, "singular"),
        (
            [{"file_path": "photos/eins.jpg", "transform_matrix": np.diag([-1.0, 1, 1, 1]).tolist()}],
            {"fl_x": 1},
            "mirrors",
        ),
        (
            [{"file_path": "photos/eins.jpg", "transform_matrix": [[math.nan] * 4] * 4}],
            {"fl_x": 1},
            "transform_matrix",
        ),
    ],
)
def test_broken_files_say_what_is_wrong(tmp_path: Path, frames: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SceneError, match=words):
        read_transforms(_write(tmp_path, frames, **settings), _size)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="cannot be read"):
        read_transforms(tmp_path / "nirgends.json", _size)
    with pytest.raises(PhotoError, match="zwei"):
        read_transforms(_write(tmp_path, [{"file_path": "zwei.jpg", "transform_matrix": POSE}], fl_x=1), _size)
    mask = {"file_path": "photos/eins.jpg", "mask_path": "keine.png", "transform_matrix": POSE}
    with pytest.raises(PhotoError, match="keine"):
        read_transforms(_write(tmp_path, [mask], fl_x=1), _size)
    (tmp_path / "transforms.json").write_text("{")
    with pytest.raises(SceneError, match="JSON"):
        read_transforms(tmp_path / "transforms.json", _size)
