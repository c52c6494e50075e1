"""Images from closure phases, closure amplitudes and, once they are calibrated to the image, visibilities.

Regularised maximum likelihood with self-calibration, in the manner of EHT Collaboration (2019), Astrophys. J. Lett.
875, L4: the first round sees closures, and amplitudes as far as the gains are known; every later one starts from the
image before it, blurred, and adds visibilities divided by the gains that this image gives. The objective has several
minima: which one is found depends on the start, a disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.radio.image_priors import disk_image, entropy, total_variation
from retrodict.inverse.radio.residuals import closure_residuals
from retrodict.inverse.radio.sky_transform import SkyTransform
from retrodict.inverse.residuals import Residuals
from retrodict.physics.errors import DataError, expected
from retrodict.physics.radio.closures import Closures, closure_amplitudes, closure_phases, wrapped
from retrodict.physics.radio.visibilities import Grid, Visibilities
from retrodict.physics.spaces import Array
from retrodict.solvers.base import Metrics, Status
from retrodict.solvers.radio.stefcal import Calibration, stefcal

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ClosureImager", "ImageState"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

_CALIBRATION = 20_000
"""Largest number of steps for the gains; slots with few baselines take close to a thousand."""

_FLOOR = 1e-4
"""Share of the flux that the entropy expects evenly over the field."""


@dataclass(frozen=True, eq=False)
class ImageState:
    """What a round leaves.

    Parameters
    ----------
    round : int
        Its number.
    image : ndarray, shape (size, size)
        Flux of the pixels [Jy].
    gains : ndarray of complex, shape (slot, receptor)
        Gains that carry the visibilities of the image to the data; before the first round, one.

    Examples
    --------
    >>> ImageState(0, np.zeros((4, 4)), np.ones((1, 2), complex)).round
    0
    """

    round: int
    image: Floats
    gains: Complexes


@dataclass(frozen=True, eq=False)
class ClosureImager:
    """A step-wise solver; a step is one round of calibration to the image and of imaging.

    Parameters
    ----------
    vis : Visibilities
        Data in which every baseline occurs once a time slot; gains are constant over a slot.
    grid : Grid
        Pixels of the image.
    flux : float
        Total flux [Jy]; closures do not know it.
    disk : float
        Diameter of the disk that the entropy prefers and the first round starts from [rad].
    blur : float
        Full width at half maximum of the Gaussian that blurs an image before the next round starts from it [rad].
    smoothness : float, optional
        Weight of the total variation, per flux and the inverse of the disk's diameter.
    sameness : float, optional
        Weight of the entropy against the disk, per flux.
    systematic : float, optional
        Error that is added to that of the weights in quadrature, relative to the amplitude.
    gain_spread : float, optional
        Standard deviation of the amplitudes of the gains about one; amplitudes of the data bind the image so far.
    rounds : int, optional
        Largest number of rounds.
    steps : int, optional
        Quasi-Newton steps of a round.
    tolerance : float, optional
        Relative change of the image between two rounds at which they have converged.

    Raises
    ------
    DataError
        If a row cannot be used, or a setting is not positive.

    Examples
    --------
    >>> one = Visibilities(np.full((1, 3), 1e5), [3e9], [0.0], [0], [1], [1 + 0j], [1.0], [False])
    >>> ClosureImager(one, Grid(4, 1e-7), 0.0, 1e-7, 1e-7)
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: ClosureImager.flux: got 0.0, expected a positive number
    """

    vis: Visibilities
    grid: Grid
    flux: float
    disk: float
    blur: float
    smoothness: float = 0.1
    sameness: float = 1.0
    systematic: float = 0.02
    gain_spread: float = 0.15
    rounds: int = 6
    steps: int = 150
    tolerance: float = 0.02

    def __post_init__(self) -> None:
        for name in ("flux", "disk", "blur", "gain_spread", "tolerance", "rounds", "steps"):
            if not getattr(self, name) > 0:
                raise DataError(expected(f"ClosureImager.{name}", getattr(self, name), "a positive number"))
        bad = self.vis.flag | (self.vis.weight == 0) | (self.vis.data == 0)
        if bad.any() or not self.vis.rows:
            raise DataError(expected("ClosureImager.vis", f"{int(bad.sum())} unusable rows", "usable rows alone"))

    @property
    def name(self) -> str:
        """Name of the method and of its problem."""
        return f"closure imaging {self.vis.rows} {self.grid.size}"

    @cached_property
    def transform(self) -> SkyTransform:
        """Visibilities of an image."""
        return SkyTransform(self.vis, self.grid)

    @cached_property
    def weight(self) -> Floats:
        """Inverse variance with the systematic error."""
        return np.asarray(1 / (1 / self.vis.weight + (self.systematic * np.abs(self.vis.data)) ** 2))

    @cached_property
    def closures(self) -> tuple[Closures, Closures]:
        """Closure phases and closure amplitudes, independent sets."""
        return closure_phases(self.vis), closure_amplitudes(self.vis)

    @cached_property
    def prior(self) -> Floats:
        """Image that the entropy prefers: the disk on a floor."""
        n = self.grid.size
        pixels = self.disk / self.grid.cell
        disk = disk_image(n, pixels, pixels / 20, self.flux)
        return np.asarray((1 - _FLOOR) * disk + _FLOOR * self.flux / n**2)

    def init(self) -> ImageState:
        """Return the disk and gains of one."""
        shape = (self.vis.slots[1].size, len(self.vis.antennas) * len(self.vis.feeds))
        return ImageState(0, self.prior.copy(), np.ones(shape, np.complex128))

    def calibrate(self, image: Floats) -> Calibration:
        """Return the gains that carry the visibilities of an image to the data."""
        weighted = replace(self.vis, weight=self.weight)
        model = self.transform.apply(image)
        return stefcal(weighted, model, prior=self.gain_spread, tolerance=1e-8, max_steps=_CALIBRATION)

    def step(self, state: ImageState) -> tuple[ImageState, Metrics]:
        """Return the image of the next round and the gains that it gives."""
        factor = None
        if state.round:
            slot, (first, second) = self.vis.slots[0], self.vis.receptors
            factor = state.gains[slot, first] * state.gains[slot, second].conj()
        image, found = self._image(self._blurred(state.image) if state.round else state.image, factor)
        change = float(np.linalg.norm(image - state.image) / np.linalg.norm(image))
        phase, amplitude = self.reduced_chi_squared(image)
        metrics = {"closure phase chi2": phase, "closure amplitude chi2": amplitude, "change": change}
        calibration = self.calibrate(image)
        metrics |= {"search": float(found), "calibrated": float(calibration.converged.mean())}
        return ImageState(state.round + 1, image, calibration.gains), {**metrics, "round": float(state.round + 1)}

    def done(self, metrics: Metrics) -> Status | None:
        """Return how it ended: converged once an image is that of the round before."""
        if metrics["round"] > 1 and metrics["change"] <= self.tolerance:
            # an image whose search broke down is that of the round before for another reason
            return Status.CONVERGED if metrics["search"] == metrics["calibrated"] == 1 else Status.STALLED
        return Status.MAX_STEPS if metrics["round"] >= self.rounds else None

    def reduced_chi_squared(self, image: Floats) -> tuple[float, float]:
        """Return chi-squared over number of closure phases and of closure amplitudes, with full covariance."""
        model = self.transform.apply(image)
        phase, amplitude = (c.chi_squared(self.vis.data, model, self.weight) / max(c.count, 1) for c in self.closures)
        return phase, amplitude

    def residuals(self, solution: xr.Dataset) -> list[Residuals]:
        """Return what the image leaves of the closures, in the noise of the weights and the systematic error."""
        model = self.transform.apply(np.asarray(solution["image"].values))
        kinds = [c for c in self.closures if c.count]
        return [closure_residuals(c, self.vis.data, model, self.weight) for c in kinds]

    def objective(self, image: Floats, factor: Complexes | None = None) -> tuple[float, Floats]:
        """Return the function that a round lessens, and its gradient.

        Parameters
        ----------
        image : ndarray, shape (size, size)
            Flux of the pixels [Jy], not negative.
        factor : ndarray of complex, shape (row,), optional
            Products of gains by which data are divided; without them, visibilities do not count, only closures and
            amplitudes.

        Returns
        -------
        tuple
            Value and gradient. Chi-squared of each kind of data counts over its number of data.
        """
        model = self.transform.apply(image)
        value, pull = 0.0, np.zeros(self.vis.rows, np.complex128)
        for closures in self.closures:
            if not closures.count:
                continue
            spread = closures.deviations(self.vis.data, self.weight)
            gap = closures.values(model) - closures.values(self.vis.data)
            # of phases, the chord instead of the angle: smooth across half a turn
            phase = closures.kind == "phase"
            gap = wrapped(gap) if phase else gap
            term = 2 * (1 - np.cos(gap)) if phase else gap**2
            slope = 2 * np.sin(gap) if phase else 2 * gap
            value += float(np.mean(term / spread**2))
            pull += closures.pull_back(model, slope / spread**2 / closures.count)
        part, force = self._amplitudes(model)
        value, pull = value + part, pull + force
        if factor is not None:
            rest = model - self.vis.data / factor
            weight = self.weight * np.abs(factor) ** 2 / (2 * self.vis.rows)
            value += float(np.sum(weight * np.abs(rest) ** 2))
            pull += 2 * weight * rest
        gradient = self.transform.adjoint(pull)
        for share, (part, rise) in self._priors(image):
            value, gradient = value + share * part, gradient + share * rise
        return value, gradient

    def _amplitudes(self, model: Complexes) -> tuple[float, Complexes]:
        """Return chi-squared of the logarithms of amplitudes, with the spread of two gains as their error."""
        data = np.abs(self.vis.data)
        variance = 1 / (self.weight * data**2) + 2 * self.gain_spread**2
        gap = np.log(np.abs(model) / data)
        return float(np.mean(gap**2 / variance)), 2 * gap / variance / gap.size / model.conj()

    def _priors(self, image: Floats) -> list[tuple[float, tuple[float, Floats]]]:
        pixel = self.flux / self.grid.size**2
        # lengths in diameters of the disk, so that finer pixels do not change its share
        length = self.disk / self.grid.cell
        excess = image.sum() / self.flux - 1
        known = (1e3 * excess**2, np.full(image.shape, 2e3 * excess / self.flux))
        at = self.grid.coordinates
        cx, cy = (np.sum(image * c) / self.flux / length for c in (at[:, None], at[None, :]))
        middle = 2 * (cx * at[:, None] + cy * at[None, :]) / (self.flux * length)
        return [
            (self.smoothness * length / self.flux / 4, total_variation(image, 1e-2 * pixel)),
            (self.sameness / self.flux, entropy(image, self.prior)),
            (1.0, known),
            (10.0, (cx**2 + cy**2, middle)),
        ]

    def _image(self, start: Floats, factor: Complexes | None) -> tuple[Floats, bool]:
        """Return the image of a round, and whether the search for it went on to its tolerance or its last step."""
        from scipy import optimize

        minimize: Any = optimize.minimize  # its stubs know only vectors of one static length

        pixel = self.flux / self.grid.size**2

        def scaled(z: Floats) -> tuple[float, Floats]:
            value, gradient = self.objective(pixel * z.reshape(self.grid.shape), factor)
            return value, (pixel * gradient).ravel()

        options: dict[str, Any] = {"maxiter": self.steps, "maxfun": 2 * self.steps, "maxcor": 20}
        bounds = [(0.0, None)] * start.size
        found = minimize(scaled, start.ravel() / pixel, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        return np.asarray(pixel * found.x.reshape(self.grid.shape)), found.status != 2

    def _blurred(self, image: Floats) -> Floats:
        from scipy.ndimage import gaussian_filter

        sigma = self.blur / self.grid.cell / np.sqrt(8 * np.log(2))
        return np.asarray(gaussian_filter(image, sigma, mode="constant"))

    def solution(self, state: ImageState) -> xr.Dataset:
        """Return image and gains."""
        import xarray as xr

        at = self.grid.coordinates * self.grid.cell
        seen = self.calibrate(state.image).constrained if state.round else np.ones(state.gains.shape, bool)
        gains = np.where(seen, state.gains, np.nan)
        names = self.vis.receptor_names
        data = {
            "image": (("x", "y"), state.image, {"units": "Jy", "long_name": "flux of a pixel"}),
            "gain": (("time", "station"), np.abs(gains), {"units": "1", "long_name": "amplitude of the gain"}),
            "phase": (("time", "station"), np.angle(gains), {"units": "rad", "long_name": "phase of the gain"}),
        }
        angle = {"units": "rad"}
        coords = {
            "x": ("x", at, {**angle, "long_name": "west"}),
            "y": ("y", at, {**angle, "long_name": "north"}),
            "time": ("time", self.vis.slots[1], {"units": "s", "long_name": "modified Julian date"}),
            "station": names,
        }
        return xr.Dataset(data, coords)

    def pack(self, state: ImageState) -> dict[str, Array]:
        """Return the state as arrays."""
        return {"round": np.array(state.round), "image": state.image, "gains": state.gains.view(np.float64)}

    def unpack(self, arrays: Mapping[str, Array]) -> ImageState:
        """Inverse of `pack`."""
        gains = np.ascontiguousarray(arrays["gains"]).view(np.complex128)
        return ImageState(int(arrays["round"]), np.asarray(arrays["image"], np.float64), gains)
