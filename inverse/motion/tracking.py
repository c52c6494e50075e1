"""Recorded tracks as a batch, the law of their inputs and noise, and its maximum likelihood."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from retrodict.inverse.likelihood import LogLikelihood, normal_deviates
from retrodict.inverse.motion.filtering import Filtered, Measurement, Sensor, kalman_filter
from retrodict.inverse.motion.vehicles import relaxing_inputs
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Term
from retrodict.physics.errors import DataError, expected
from retrodict.physics.spaces import Array, Space, Tree, Var

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["LAW", "MotionLaw", "TrackBatch", "batch", "filter_tracks", "join", "law_problem", "states"]

_PARTS = {
    "acceleration_std": "m s-2",
    "yaw_rate_std": "rad s-1",
    "acceleration_time": "s",
    "yaw_rate_time": "s",
    "position_noise": "m",
    "heading_noise": "rad",
    "speed_noise": "m s-1",
}

LAW = Space({f"ln_{k}": Var(bounds=(-9.0, 5.0), long_name=f"ln({k} / ({u}))") for k, u in _PARTS.items()})
"""Unknowns of `MotionLaw`: natural logarithms, in which the likelihood is closer to a parabola."""


@dataclass(frozen=True)
class MotionLaw:
    """How a vehicle's inputs wander and how well it is seen; each a scalar tensor.

    Parameters
    ----------
    acceleration_std, yaw_rate_std : Tensor
        Stationary standard deviation of the inputs [m/s2], [rad/s].
    acceleration_time, yaw_rate_time : Tensor
        Their correlation times [s]; far below the time step: white inputs.
    position_noise, heading_noise, speed_noise : Tensor
        Standard deviation of the measurements [m], [rad], [m/s].
    """

    acceleration_std: Tensor
    yaw_rate_std: Tensor
    acceleration_time: Tensor
    yaw_rate_time: Tensor
    position_noise: Tensor
    heading_noise: Tensor
    speed_noise: Tensor

    @classmethod
    def from_logs(cls, tree: Mapping[str, Tensor]) -> MotionLaw:
        """Return the law of a tree of `LAW`."""
        return cls(**{k: torch.exp(tree[f"ln_{k}"]) for k in _PARTS})

    @classmethod
    def of(cls, tree: Tree) -> MotionLaw:
        """Return the law of a tree of arrays of `LAW`."""
        return cls.from_logs({k: torch.as_tensor(np.asarray(v, float)) for k, v in tree.items()})

    def logs(self) -> dict[str, Array]:
        """Return the tree of `LAW`."""
        return {f"ln_{f.name}": np.asarray(math.log(float(getattr(self, f.name)))) for f in fields(self)}

    @property
    def std(self) -> Tensor:
        """Standard deviations of acceleration and yaw rate, shape (2,)."""
        return torch.stack([self.acceleration_std, self.yaw_rate_std])

    @property
    def time_constant(self) -> Tensor:
        """Correlation times of acceleration and yaw rate, shape (2,)."""
        return torch.stack([self.acceleration_time, self.yaw_rate_time])


@dataclass(frozen=True)
class TrackBatch:
    """Tracks of one time step side by side, each from its first sample on.

    Parameters
    ----------
    measured : Tensor, shape (B, K, 4)
        x, y [m] relative to ``origin``, heading [rad], speed [m/s].
    valid : Tensor of bool, shape (B, K)
        Samples that exist.
    origin : Tensor, shape (B, 2)
        First position of each track [m]; kept apart for accuracy.
    time_step : float
        Seconds.
    names : tuple of str
        Track ids.
    """

    measured: Tensor
    valid: Tensor
    origin: Tensor
    time_step: float
    names: tuple[str, ...]

    def select(self, rows: Sequence[int]) -> TrackBatch:
        """Return some of the tracks."""
        index = torch.as_tensor(list(rows))
        names = tuple(self.names[i] for i in rows)
        return TrackBatch(self.measured[index], self.valid[index], self.origin[index], self.time_step, names)


def batch(tracks: xr.Dataset, least: int = 20) -> TrackBatch:
    """Return a track set as a batch.

    Parameters
    ----------
    tracks : xarray.Dataset
        From `retrodict.physics.motion.tracks.read_tracks`, with heading and speed, on an even time grid.
    least : int, optional
        Tracks with fewer samples are left out.

    Raises
    ------
    DataError
        If a variable is missing, the grid is uneven, or no track is long enough.

    Examples
    --------
    >>> import xarray as xr
    >>> one = (("track", "time"), np.ones((1, 30)))
    >>> data = {k: one for k in ("x", "y", "heading", "speed")} | {"valid": (one[0], np.ones((1, 30), bool))}
    >>> made = xr.Dataset(data, {"track": ["a"], "time": 0.1 * np.arange(30)})
    >>> batch(made).measured.shape
    torch.Size([1, 30, 4])
    """
    missing = {"x", "y", "heading", "speed", "valid"} - set(tracks.data_vars)
    if missing:
        raise DataError(expected("tracks", f"no {', '.join(sorted(missing))}", "position, heading, speed and a mask"))
    steps = np.diff(np.asarray(tracks["time"], float))
    if steps.size == 0 or np.ptp(steps) > 1e-6 * steps.max():
        raise DataError(expected("tracks.time", "an uneven grid", "one time step"))
    valid = np.asarray(tracks["valid"].transpose("track", "time"))
    table = np.stack(
        [np.asarray(tracks[k].transpose("track", "time"), float) for k in ("x", "y", "heading", "speed")], -1
    )
    keep = [i for i in range(len(valid)) if valid[i].sum() >= least]
    if not keep:
        raise DataError(expected("tracks", f"longest has {valid.sum(1).max(initial=0)} samples", f"at least {least}"))
    length = max(int(np.ptp(np.flatnonzero(valid[i]))) + 1 for i in keep)
    measured, mask = np.zeros((len(keep), length, 4)), np.zeros((len(keep), length), bool)
    for row, i in enumerate(keep):
        at = np.flatnonzero(valid[i])
        span = slice(at[0], at[-1] + 1)
        n = at[-1] + 1 - at[0]
        mask[row, :n] = valid[i, span]
        measured[row, :n] = np.where(valid[i, span, None], table[i, span], 0.0)
    origin = measured[:, 0, :2].copy()
    measured[..., :2] -= origin[:, None]
    names = tuple(str(tracks["track"].values[i]) for i in keep)
    return TrackBatch(torch.tensor(measured), torch.tensor(mask), torch.tensor(origin), float(steps.mean()), names)


def join(batches: Sequence[TrackBatch]) -> TrackBatch:
    """Return several batches of one time step as one.

    Raises
    ------
    DataError
        If there is none, or the time steps differ.

    Examples
    --------
    >>> one = TrackBatch(torch.zeros(1, 3, 4), torch.ones(1, 3, dtype=torch.bool), torch.zeros(1, 2), 0.1, ("a",))
    >>> join([one, one]).names
    ('a', 'a')
    """
    steps = {round(b.time_step, 9) for b in batches}
    if len(steps) != 1:
        raise DataError(expected("join", f"time steps {sorted(steps)}", "batches with one time step"))
    length = max(b.measured.shape[1] for b in batches)

    def pad(x: Tensor) -> Tensor:
        return torch.cat([x, x.new_zeros((x.shape[0], length - x.shape[1], *x.shape[2:]))], 1)

    return TrackBatch(
        torch.cat([pad(b.measured) for b in batches]),
        torch.cat([pad(b.valid) for b in batches]),
        torch.cat([b.origin for b in batches]),
        batches[0].time_step,
        tuple(n for b in batches for n in b.names),
    )


def filter_tracks(law: MotionLaw, tracks: TrackBatch) -> Filtered:
    """Filter a batch; the first sample is the start, with the uncertainty of its measurement.

    Parameters
    ----------
    law : MotionLaw
        Of inputs and noise.
    tracks : TrackBatch
        B tracks of K samples.

    Returns
    -------
    Filtered
        K - 1 times, from the second sample on; state (x, y, heading, speed, acceleration, yaw rate).

    Examples
    --------
    >>> track = torch.zeros(1, 5, 4)
    >>> track[0, :, 0], track[0, :, 3] = torch.arange(5.0), 10.0
    >>> tracks = TrackBatch(track.double(), torch.ones(1, 5, dtype=torch.bool), torch.zeros(1, 2), 0.1, ("a",))
    >>> law = MotionLaw(*torch.tensor([1, 0.1, 1, 1, 0.1, 0.01, 0.1], dtype=torch.float64))
    >>> round(float(filter_tracks(law, tracks).mean[-1, 0, 3]), 2)
    10.0
    """
    noise = torch.stack([law.position_noise, law.position_noise, law.heading_noise, law.speed_noise])
    sensor = Sensor(lambda s: s[..., :4], torch.diag(noise**2), angles=(2,))
    first = tracks.measured[:, 0]
    mean = torch.cat([first, first.new_zeros(first.shape[0], 2)], -1)
    covariance = torch.diag(torch.cat([noise, law.std]) ** 2).expand(first.shape[0], 6, 6)
    seen = [
        Measurement(k * tracks.time_step, sensor, tracks.measured[:, k], tracks.valid[:, k])
        for k in range(1, tracks.measured.shape[1])
    ]
    model = relaxing_inputs(law.std, law.time_constant)
    return kalman_filter(model, mean, covariance, seen, start_time=0.0)


def law_problem(tracks: TrackBatch, start: MotionLaw, truth: MotionLaw | None = None) -> InverseProblem:
    """Return the maximum-likelihood problem of inputs and noise: one-step prediction errors of the filter.

    Parameters
    ----------
    tracks : TrackBatch
        Data.
    start : MotionLaw
        Where to begin.
    truth : MotionLaw, optional
        Of synthetic tracks.

    Examples
    --------
    >>> track = torch.zeros(1, 25, 4, dtype=torch.float64)
    >>> tracks = TrackBatch(track, torch.ones(1, 25, dtype=torch.bool), torch.zeros(1, 2), 0.1, ("a",))
    >>> one = MotionLaw(*torch.full((7,), 0.5, dtype=torch.float64))
    >>> sorted(law_problem(tracks, one).space)[0]
    'ln_acceleration_std'
    """

    def errors(tree: dict[str, Tensor]) -> dict[str, tuple[tuple[str, ...], Tensor]]:
        squared = filter_tracks(MotionLaw.from_logs(tree), tracks).innovations
        return {"innovations": (("track", "time"), normal_deviates(squared.T, 4))}

    nll = LogLikelihood(LAW, lambda t: filter_tracks(MotionLaw.from_logs(t), tracks).nll.sum(), errors)
    term = Term("prediction errors", nll)
    return InverseProblem(LAW, (term,), start.logs(), None if truth is None else truth.logs(), "motion-law")


def states(filtered: Filtered, tracks: TrackBatch) -> xr.Dataset:
    """Return filtered or smoothed states as a Dataset over (track, time), positions in the frame of the recording.

    Examples
    --------
    >>> track = torch.zeros(1, 25, 4, dtype=torch.float64)
    >>> tracks = TrackBatch(track, torch.ones(1, 25, dtype=torch.bool), torch.zeros(1, 2), 0.1, ("a",))
    >>> out = states(filter_tracks(MotionLaw(*torch.full((7,), 0.5, dtype=torch.float64)), tracks), tracks)
    >>> out["speed"].attrs["units"], out.sizes["time"]
    ('m s-1', 24)
    """
    import xarray as xr

    mean = filtered.mean.detach().movedim(0, 1).clone()
    mean[..., :2] += tracks.origin[:, None]
    std = torch.diagonal(filtered.covariance.detach(), dim1=-2, dim2=-1).sqrt().movedim(0, 1)
    units = {"x": "m", "y": "m", "heading": "rad", "speed": "m s-1", "acceleration": "m s-2", "yaw_rate": "rad s-1"}
    valid = tracks.valid[:, 1:].numpy()
    data: dict[str, tuple[tuple[str, str], Array, dict[str, str]]] = {}
    for i, (name, unit) in enumerate(units.items()):
        data[name] = (("track", "time"), np.where(valid, mean[..., i].numpy(), np.nan), {"units": unit})
        data[f"{name}_std"] = (("track", "time"), np.where(valid, std[..., i].numpy(), np.nan), {"units": unit})
    time = ("time", filtered.time.numpy(), {"units": "s", "long_name": "time since the first sample of the track"})
    return xr.Dataset({**data, "valid": (("track", "time"), valid)}, {"track": list(tracks.names), "time": time})
