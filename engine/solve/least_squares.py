# SPDX-License-Identifier: GPL-3.0-or-later
"""Robust non-linear least squares for up to some hundred unknowns: Levenberg-Marquardt in units of each unknown.

The sum over terms of Huber's loss of their residuals is minimised (Huber 1964), by iteratively reweighted normal
equations damped after Marquardt (1963); a step is taken only where the sum drops. A term (a photo, say) depends on some
of the unknowns, so that many photos with a pose each and a lens for all cost no more than one by one.

    unknowns = [Unknown("focal length", 0.0, 0.01), Unknown("distance", 0.0, 0.01)]
    solution = run(solve(unknowns, [term]))
    solution.values, solution.deviations, solution.weak

Everything is float64.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np

# Damping, in shares of the normal matrix' diagonal: at the start, least, and where nothing can be gained any more.
_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-3, 1e-8, 1e6
# A direction in which the photos leave more room than this, in units of the unknowns, is named.
WEAK = 2.0
# Parts of an eigenvector below this share do not belong to its name.
_NAMED_SHARE = 0.35
T = TypeVar("T")


@dataclass(frozen=True)
class Unknown:
    """One number that is looked for. `step` is a small change of it, its unit in the solver (1 degree, 1 %)."""

    name: str  # as an artist would say it: 'distance of camera "Left"'
    start: float
    step: float
    prior: float | None = None  # standard deviation of what was known before, around `start`
    lowest: float = -np.inf
    highest: float = np.inf
    nudge: float = 0.05  # of central differences, in steps

    def __post_init__(self) -> None:
        if not (self.step > 0 and self.lowest <= self.start <= self.highest):
            raise ValueError(f"unknown {self.name!r}: step must be positive and start within lowest and highest")


@dataclass
class Residuals:
    """What a term says about some values."""

    values: np.ndarray  # [m], weighted
    slopes: np.ndarray | None = None  # [m, k], d values / d the term's unknowns; None: by central differences
    # [m] int from 0 on: residuals of a group may err together (neighbours in a picture); None: each for itself
    group: np.ndarray | None = None


class Term(Protocol):
    """Residuals that depend on `unknowns`, indices into the solver's list. Its size m is the same for all values."""

    unknowns: Sequence[int]
    huber: float  # residuals above this count linearly

    def measure(self, values: np.ndarray, slopes: bool) -> Residuals:
        """Residuals for `values` [k] of the term's unknowns; `slopes` are asked for or not."""


@dataclass
class Step:
    """The state after an accepted step, or after the last one that was tried."""

    iteration: int
    cost: float
    values: np.ndarray


@dataclass
class Solution:
    """The outcome; `weak` names, one line each, what the terms leave open."""

    values: np.ndarray  # [n]
    cost: float
    first_cost: float
    deviations: np.ndarray  # [n] standard deviations, inf where nothing tells
    covariance: np.ndarray  # [n, n]
    weak: list[str] = field(default_factory=list)
    iterations: int = 0
    residuals: list[np.ndarray] = field(default_factory=list)  # of the terms, at the end


def run(steps: Generator[object, None, T]) -> T:
    """Run a generator to its end and return its value."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def solve(
    unknowns: Sequence[Unknown],
    terms: Sequence[Term],
    values: np.ndarray | None = None,
    *,
    iterations: int = 30,
    tolerance: float = 1e-3,
    gain: float = 1e-9,
) -> Generator[Step, None, Solution]:
    """Minimise from `values` (default: the starts). Yields a Step after each that was accepted.

    Stops when a step is smaller than `tolerance` in all units, gains less than the share `gain`, or cannot gain at any
    damping; at the latest after `iterations`.
    """
    system = _System(unknowns, terms)
    x = np.array([unknown.start for unknown in unknowns] if values is None else values, np.float64)
    x = np.clip(x, system.lowest, system.highest)
    matrix, pull, cost = system.linearise(x)
    first_cost, damping, iteration = cost, _DAMPING, 0
    while iteration < iterations and damping < _MOST_DAMPING:
        iteration += 1
        step = _damped(matrix, pull, damping) * system.step
        trial = np.clip(x + step, system.lowest, system.highest)
        moved = np.abs((trial - x) / system.step).max()
        trial_cost = system.cost(trial)
        if not trial_cost < cost:
            if moved < tolerance:
                break
            damping = max(damping, _DAMPING) * 8
            continue
        gained = cost - trial_cost
        x = trial
        small = moved < tolerance or gained < gain * cost
        matrix, pull, cost = system.linearise(x)
        damping = max(damping / 8, _LEAST_DAMPING)
        yield Step(iteration, cost, x)
        if small:
            break
    covariance, weak = system.uncertainty(x, matrix)
    with np.errstate(invalid="ignore"):
        deviations = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return Solution(x, cost, first_cost, deviations, covariance, weak, iteration, system.last_residuals)


def huber_cost(residuals: np.ndarray, limit: float) -> float:
    """Sum of Huber's loss: r^2 / 2 below `limit`, linear above."""
    size = np.abs(residuals)
    return float(np.where(size <= limit, 0.5 * size**2, limit * (size - 0.5 * limit)).sum())


class _System:
    """The normal equations in units of the unknowns."""

    def __init__(self, unknowns: Sequence[Unknown], terms: Sequence[Term]) -> None:
        self.unknowns, self.terms = unknowns, terms
        self.step = np.array([unknown.step for unknown in unknowns])
        self.nudge = np.array([unknown.nudge for unknown in unknowns]) * self.step
        self.lowest = np.array([unknown.lowest for unknown in unknowns])
        self.highest = np.array([unknown.highest for unknown in unknowns])
        self.start = np.array([unknown.start for unknown in unknowns])
        priors = [np.inf if unknown.prior is None else unknown.prior for unknown in unknowns]
        self.prior = 1.0 / np.array(priors) ** 2
        self.noise = 0.0  # variance of a residual at the last linearisation, in which priors are weighed
        self.last_residuals: list[np.ndarray] = []

    def cost(self, x: np.ndarray) -> float:
        """The sum that is minimised."""
        total = sum(huber_cost(term.measure(x[list(term.unknowns)], False).values, term.huber) for term in self.terms)
        return total + 0.5 * self.noise * float((self.prior * (x - self.start) ** 2).sum())

    def linearise(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Normal matrix [n, n] and right side [n] in units, and the cost."""
        n = len(x)
        matrix, pull, cost = np.zeros((n, n)), np.zeros(n), 0.0
        self.last_residuals, self._scores = [], []
        squares, rows = 0.0, 0
        for term in self.terms:
            places = list(term.unknowns)
            found = self._with_slopes(term, x[places])
            residuals = np.asarray(found.values, np.float64)
            slopes = found.slopes * self.step[places]
            weight = term.huber / np.maximum(np.abs(residuals), term.huber)
            weighted = slopes * weight[:, None]
            matrix[np.ix_(places, places)] += weighted.T @ slopes
            pull[places] -= weighted.T @ residuals
            cost += huber_cost(residuals, term.huber)
            squares, rows = squares + float((weight * residuals**2).sum()), rows + len(residuals)
            self._scores.append((places, _grouped(weighted * residuals[:, None], found.group)))
            self.last_residuals.append(residuals)
        self.noise = squares / max(rows - n, 1)
        inner = self.noise * self.prior * self.step**2
        matrix[np.diag_indices(n)] += inner
        pull -= inner * (x - self.start) / self.step
        return matrix, pull, cost + 0.5 * self.noise * float((self.prior * (x - self.start) ** 2).sum())

    def _with_slopes(self, term: Term, values: np.ndarray) -> Residuals:
        found = term.measure(values, True)
        if found.slopes is None:
            columns = []
            for k, place in enumerate(term.unknowns):
                nudge = np.zeros(len(values))
                nudge[k] = self.nudge[place]
                ahead, behind = (term.measure(values + sign * nudge, False).values for sign in (1, -1))
                columns.append((ahead - behind) / (2 * nudge[k]))
            found.slopes = np.stack(columns, axis=1)
        return found

    def uncertainty(self, x: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """Covariance [n, n] of the values, and weak directions in words.

        The textbook's variance * (J^T J)^-1, enlarged as a whole until no unknown looks better known than by the
        sandwich estimator, which takes residuals of a group to err together (Liang and Zeger 1986; neighbouring pixels
        do).
        """
        n = len(x)
        strength, directions = np.linalg.eigh(matrix)
        # what nothing tells has no variance that numbers could hold; named below
        open_ended = strength <= 1e-12 * max(float(strength.max(initial=0.0)), 1e-300)
        inverse = (directions / np.where(open_ended, np.inf, strength)) @ directions.T
        scores = np.zeros((n, n))
        for places, grouped in self._scores:
            groups = max(len(grouped), 2)
            scores[np.ix_(places, places)] += grouped.T @ grouped * (groups / (groups - 1))
        sandwich = inverse @ scores @ inverse
        plain = self.noise * inverse
        ratio = max(1.0, float(np.nanmax(np.diag(sandwich) / np.maximum(np.diag(plain), 1e-300), initial=1.0)))
        covariance = plain * ratio
        weak = []
        for k in np.argsort(strength):
            room = np.inf if open_ended[k] else float(np.sqrt(self.noise * ratio / strength[k]))
            if room > WEAK:
                weak.append(self._words(directions[:, k], room))
        covariance = covariance * np.outer(self.step, self.step)
        lost = (directions[:, open_ended] ** 2).sum(1) > 1e-6
        covariance[np.ix_(lost, lost)] = np.inf
        return covariance, weak

    def _words(self, direction: np.ndarray, room: float) -> str:
        order = np.argsort(-np.abs(direction))
        named = [k for k in order if abs(direction[k]) > _NAMED_SHARE * abs(direction[order[0]])]
        names = [self.unknowns[k].name for k in named[:4]]
        if len(names) == 1:
            return f"{names[0]} hardly shows in the photos"
        return f"{', '.join(names[:-1])} and {names[-1]} trade off: the photos tell them together, not apart"


def _damped(matrix: np.ndarray, pull: np.ndarray, damping: float) -> np.ndarray:
    """The step (in units) of the damped normal equations."""
    diagonal = np.diag(matrix)
    ridge = damping * np.maximum(diagonal, 1e-9 * max(float(diagonal.max(initial=0.0)), 1e-300))
    return np.linalg.lstsq(matrix + np.diag(ridge), pull, rcond=None)[0]


def _grouped(scores: np.ndarray, group: np.ndarray | None) -> np.ndarray:
    """Sums [g, k] of the scores [m, k] of each group."""
    if group is None:
        return scores
    return np.stack([np.bincount(group, column) for column in scores.T], axis=1)
