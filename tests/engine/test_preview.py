# SPDX-License-Identifier: GPL-3.0-or-later
"""The live preview: what it shows, that it does not disturb the fit, and that it costs little."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from likeness.engine import preview
from likeness.engine.job import load_job, save_job
from likeness.engine.preview import LivePreview, preview_path, write_preview
from likeness.engine.result import FitResult
from likeness.engine.run import run_fit
from likeness.engine.scene import Photo
from tests.engine.test_worker import make_job


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Two photos of a lit plane; the second one counts in its middle only."""
    folder = make_job(tmp_path, 40)
    scene, settings = load_job(folder)
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 8:24] = 255
    PillowImage.fromarray(mask).save(tmp_path / "mask.png")
    scene.photos.append(Photo("Camera", scene.photos[0].path, str(tmp_path / "mask.png"), name="masked"))
    save_job(folder, scene, settings)
    return folder


def fit(folder: Path, watch: LivePreview | None) -> FitResult:
    return run_fit(*load_job(folder), None, watch=watch)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(a - b).mean()))


def test_a_preview_shows_the_fit_and_does_not_disturb_it(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "INTERVAL", 0.0)
    monkeypatch.setattr(preview, "SHARE", 1.0)
    told: list[dict[str, Any]] = []
    watch = LivePreview(job, lambda **message: told.append(message))
    result = fit(job, watch)
    assert {message["photo"] for message in told} == {"photo"}, "the first where none was chosen"
    assert told[0] == {"index": 0, "photo": "photo", "camera": "Camera", "width": 32, "height": 32}
    photo, shown = np.load(preview_path(job, 0)) / 255.0
    assert np.abs(photo[..., :3] - result.photos[0].photo).max() <= 0.5 / 255 + 1e-6
    assert psnr(shown[..., :3], result.photos[0].after) > 30

    watch = LivePreview(job, lambda **message: told.append(message), photo="masked")
    masked = fit(job, watch)
    assert told[-1]["photo"] == "masked"
    whole = np.load(preview_path(job, 1))[1] / 255.0
    assert (whole[..., 3] == 1.0).all(), "also what the mask leaves out"
    assert psnr(whole[..., :3], masked.photos[1].after) > 30

    undisturbed = fit(job, None)
    for other in (result, masked):
        assert np.array_equal(other.images[0].pixels, undisturbed.images[0].pixels)
        assert other.history == undisturbed.history


def test_the_photo_can_be_changed_at_any_time(job: Path) -> None:
    told: list[str] = []
    watch = LivePreview(job, lambda **message: told.append(message["photo"]))

    def change(_progress: object) -> None:
        watch.photo = "masked" if told else "photo"

    run_fit(*load_job(job), None, on_progress=change, watch=watch)
    assert told[:2] == ["photo", "masked"], "at once, not after the interval"


def test_rendering_for_the_preview_alone_is_kept_rare(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each whole picture costs a tenth of a second here; the fit itself takes a few seconds."""
    from likeness.engine.fit import FitRun

    real, spent = FitRun.whole_picture, []

    def slow(run: FitRun, index: int) -> Any:
        time.sleep(0.1)
        spent.append(run.level)
        return real(run, index)

    monkeypatch.setattr(FitRun, "whole_picture", slow)
    monkeypatch.setattr(preview, "INTERVAL", 0.0)
    watch = LivePreview(job, lambda **_: None, photo="masked")
    began = time.monotonic()
    fit(job, watch)
    seconds = time.monotonic() - began
    levels = len(set(spent))
    assert len(spent) - levels <= preview.SHARE * seconds / 0.1 + 1, "one a level must be, more only as time allows"


def test_values_that_are_no_colours(tmp_path: Path) -> None:
    picture = np.array([[[np.nan, -1.0, 2.0]]], np.float32)
    stored = np.load(write_preview(tmp_path, 7, picture, picture))
    assert stored.tolist() == [[[[0, 0, 255, 255]]]] * 2
    assert [path.name for path in (tmp_path / "preview").iterdir()] == ["007.npy"]
