# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped energy tables against Blender's and against a plain integral over the hemisphere."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import interpn

from likeness.engine.shading.tables import energy_tables, make_energy_tables
from tests.reference.principled import ggx_core

AXIS = np.linspace(0.0, 1.0, 32)

# Rounded to three digits, from the tables that ship with Cycles 5.0: rows are roughness, columns nv = .1, .5, 1.
BLENDER_E = {
    0.2: (0.929, 0.996, 0.998),
    0.4: (0.889, 0.926, 0.967),
    0.6: (0.883, 0.782, 0.824),
    0.8: (0.833, 0.621, 0.555),
    1.0: (0.761, 0.451, 0.307),
}
BLENDER_E_AVG = {0.2: 0.994, 0.4: 0.940, 0.6: 0.803, 0.8: 0.604, 1.0: 0.409}


@pytest.mark.parametrize("roughness", BLENDER_E)
def test_tables_are_those_of_cycles(roughness: float) -> None:
    tables = energy_tables()
    found = interpn((AXIS, AXIS), tables.E, [(roughness, nv) for nv in (0.1, 0.5, 1.0)])
    assert found == pytest.approx(BLENDER_E[roughness], abs=1e-3)
    assert np.interp(roughness, AXIS, tables.E_avg) == pytest.approx(BLENDER_E_AVG[roughness], abs=1e-3)


@pytest.mark.parametrize("i", [12, 20, 31])
def test_directional_albedo_is_the_integral_of_the_lobe(i: int) -> None:
    """E is defined by visible-normal sampling; a plain midpoint sum over the hemisphere must agree."""
    cosine = (np.arange(1200) + 0.5) / 1200
    phi = (np.arange(1200) + 0.5) / 1200 * np.pi  # the other half is its mirror image
    nl, angle = np.meshgrid(cosine, phi, indexing="ij")
    sine = np.sqrt(1.0 - nl * nl)
    light = np.stack([sine * np.cos(angle), sine * np.sin(angle), nl], axis=-1)
    for k in (8, 16, 31):
        nv = AXIS[k]
        view = np.array([np.sqrt(1.0 - nv * nv), 0.0, nv])
        integral = 2.0 * np.pi * ggx_core(np.array([0.0, 0.0, 1.0]), view, light, AXIS[i]).mean()
        assert energy_tables().E[i, k] == pytest.approx(integral, abs=1e-3)


def test_fresnel_table_at_normal_incidence_of_a_smooth_lobe() -> None:
    """At roughness 0 the half vector is the normal, so S(0, 1, z) is Schlick's weight at hv = 1: zero; and S grows to
    grazing angles."""
    s = energy_tables().S
    assert np.abs(s[0, 15]).max() < 1e-5
    assert (np.diff(s[0, 1:, 7]) < 0).all()


def test_shipped_file_is_what_the_script_makes() -> None:
    made = make_energy_tables(samples=2048, fresnel_samples=1024)
    shipped = energy_tables()
    assert np.abs(made.E - shipped.E).max() < 3e-3
    assert np.abs(made.E_avg - shipped.E_avg).max() < 1e-3
    assert np.abs(made.S - shipped.S)[:, 1:].mean() < 1e-3
