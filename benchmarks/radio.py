"""Radio interferometry: cost of the operators beside ducc0, and calibration by Newton beside calibration by antenna.

    OMP_NUM_THREADS=1 python benchmarks/radio.py [--sections speed,calibration,methods] [--rounds 7] [--skies DIR]

`speed`: image and adjoint with gains of 5 x 5 coefficients at 256 x 256 and 200 070 rows (VLA-A, 570 slots), beside
the plain non-uniform transforms of ducc0 on the same rows in the same rounds; the visibility cube, a Gauss-Newton
step, a sweep antenna by antenna, and the peak memory. `calibration`: sky known, misfit over time of both. `methods`:
signal to noise of the image by all methods, five seeds, and of the joint one against the sky times the screen that
all true gains share, which no data can tell from the sky; with ``--skies`` also on M31.fits, W28_256.fits and
3c353_gdth.fits.gz of that folder. `chunks`: a MeasurementSet of ``--million`` visibilities written and read in
chunks, a gradient of the image and the normal equations of all gains from it, the peak memory; the same of its first
twentieth against rows in memory. One thread; medians with their quartiles.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from retrodict.cases.radio_setup import METHODS, Observation, RadioSettings, observed, solver_of
from retrodict.physics.radio.arrays import array, cell_for, observe
from retrodict.physics.radio.gains import TimeBasis
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.physics.radio.measurement_set import MeasurementSetWriter, ranges, read_measurement_set
from retrodict.physics.radio.screens import smooth_random
from retrodict.physics.radio.streaming import Streamed, stream_measurement_set
from retrodict.physics.radio.visibilities import Grid
from retrodict.solvers.iterate import finished
from retrodict.solvers.radio.gain_blocks import GainBlocks
from retrodict.solvers.radio.gain_newton import GainNewton, Prior
from retrodict.solvers.radio.gain_normal import NormalEquations
from retrodict.solvers.radio.gauge import signal_to_noise
from retrodict.solvers.radio.misfit import Misfit

SKIES = {"M31": "M31.fits", "W28": "W28_256.fits", "3C353": "3c353_gdth.fits.gz"}


def timed(act: Callable[[], object]) -> float:
    """Return seconds."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def told(name: str, values: list[float], unit: str = "ms", factor: float = 1e3) -> None:
    """Print a median with quartiles."""
    low, middle, high = np.quantile(np.array(values) * factor, [0.25, 0.5, 0.75])
    print(f"  {name:44s} {middle:8.1f} [{low:.1f}, {high:.1f}] {unit}")


def speed(rounds: int) -> None:
    """Time the operators."""
    from ducc0.nufft import nu2u, u2nu

    rng = np.random.default_rng(0)
    vis = observe(array("vla-a"), declination=0.7, slots=570)
    grid = Grid(256, cell_for(vis))
    basis = TimeBasis.spanning("dct", vis.slots[1], 3)
    model = Interferometer(vis, grid, size=5, basis=basis, precision="single")
    gains = smooth_random(rng, 27, 5, np.asarray(basis.at(vis.slots[1])))
    image, uv = rng.random(grid.shape), vis.uv(grid)
    complex_image = image.astype(np.complex64)
    model.imager(gains)  # compiled, before it is timed
    built = [timed(lambda: model.imager(gains)) for _ in range(rounds)]
    imager = model.imager(gains)
    seen = imager.apply(image)
    imager.adjoint(seen)
    single = seen.astype(np.complex64)
    uv32 = uv.astype(np.float32)

    def plain() -> None:
        u2nu(grid=complex_image, coord=uv32, forward=True, epsilon=1e-5, nthreads=1)
        nu2u(points=single, coord=uv32, forward=False, epsilon=1e-5, nthreads=1, out=np.zeros(grid.shape, np.complex64))

    ours, theirs, ratios = [], [], []
    for _ in range(rounds):
        ours.append(timed(lambda: imager.adjoint(imager.apply(image))))
        theirs.append(timed(plain))
        ratios.append(ours[-1] / theirs[-1])
    print(f"speed: {vis.rows} rows, 256 x 256, S = 5, P = 3")
    told("A and A' with gains", ours)
    told("ducc0, plain, single, 1e-5, both ways", theirs)
    told("ratio", ratios, "", 1.0)
    told("rows of the matrix built", built)
    data = model.predict(image, gains)
    seen = Interferometer(vis.with_data(data), grid, size=5, basis=basis, precision="single")
    newton, unit, precision = GainNewton(seen), model.kernels.unit(), np.full(gains.shape, 400.0)
    told("visibility cube", [timed(lambda: model.cube(image)) for _ in range(3)])
    told(
        "one Gauss-Newton step, all antennas",
        [timed(lambda: newton.step(image, unit, Prior(unit, precision), 1.0)) for _ in range(3)],
    )
    cube, blocks = model.cube(image), GainBlocks(model)
    blocks.quadratic(0, cube, model.kernels.at(unit, model.times), data, np.ones(vis.rows))
    told(
        "one sweep, antenna by antenna",
        [timed(lambda: blocks.sweep(cube, unit, data, np.ones(vis.rows), precision, unit))],
    )
    print(f"  peak memory of the process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def calibration(_rounds: int) -> None:
    """Print the misfit over time with the sky known."""
    seen = observed(RadioSettings())
    model = seen.model()
    vis, unit = model.vis, model.kernels.unit()
    cube, precision = model.cube(seen.sky), np.full(unit.shape, 3 / 0.05**2)
    newton, blocks, prior = GainNewton(model), GainBlocks(model), Prior(unit, precision)
    newton.step(seen.sky, unit, prior, 1.0)
    blocks.quadratic(0, cube, model.kernels.at(unit, model.times), vis.data, vis.weight)

    def misfit(gains: np.ndarray) -> float:
        v = model.seen(cube, gains)
        return float(np.mean(vis.weight * np.abs(v - vis.data) ** 2) / 2)

    print("calibration, sky known: mean square of residual / noise after seconds")
    for name, act, steps in (
        ("Gauss-Newton", lambda g: newton.step(seen.sky, g, prior, 1.0).gains, 6),
        ("antenna by antenna", lambda g: blocks.sweep(cube, g, vis.data, vis.weight, precision, unit)[0], 40),
    ):
        gains, spent, line = unit, 0.0, []
        for k in range(1, steps + 1):
            began = time.perf_counter()
            gains = act(gains)
            spent += time.perf_counter() - began
            if k in (1, 2, 3, 4, 6, 10, 20, 40):
                line.append(f"{misfit(gains):.3g} @ {spent:.2f}")
        print(f"  {name:20s} " + "  ".join(line))


def methods(skies: Path | None, seeds: int, names: str) -> None:
    """Print signal to noise of the image by all methods."""
    makers: dict[str, Callable[[int], Observation]] = {
        name: lambda seed, name=name: observed(RadioSettings(sky=name, seed=seed))
        for name in ("spiral", "remnant", "jet")
    }
    if skies is not None:
        makers |= {n: lambda s, f=f: observed(RadioSettings(sky_file=str(skies / f), seed=s)) for n, f in SKIES.items()}
    makers = {n: make for n, make in makers.items() if not names or n in names.split(",")}
    print(f"methods: VLA-A, 60 slots, S = 5, P = 3, 5 %, 40 dB, {seeds} seeds: dB (seconds)")
    for sky, make in makers.items():
        found: dict[str, list[float]] = {m: [] for m in METHODS}
        spent: dict[str, list[float]] = {m: [] for m in METHODS}
        shared: list[float] = []
        screens: list[float] = []
        for seed in range(seeds):
            seen = make(seed)
            for method in METHODS:
                began = time.perf_counter()
                result = finished(solver_of(seen, method), seen.config.max_steps)
                spent[method].append(time.perf_counter() - began)
                image = result.data["image"].values
                found[method].append(signal_to_noise(image, seen.sky))
                if method == "joint":
                    shared.append(signal_to_noise(image, seen.sky_behind_screen))
                    screens.append(signal_to_noise(seen.sky_behind_screen, seen.sky))
        text = [
            f"{m} {np.median(v):.1f} [{min(v):.1f}, {max(v):.1f}] ({np.median(spent[m]):.0f})" for m, v in found.items()
        ]
        gap = np.array(found["true gains"]) - np.array(shared)
        limit = f"that screen itself {np.median(screens):.1f} [{min(screens):.1f}, {max(screens):.1f}]"
        print(f"  {sky:8s} " + "  ".join(text))
        behind = f"behind true gains by {np.median(gap):.1f} [{gap.min():.1f}, {gap.max():.1f}]"
        print(f"           joint up to the common screen {np.median(shared):.1f}, {behind}; {limit}", flush=True)


def chunks(million: float) -> None:
    """Calibrate and image from a set that is larger than what is held of it."""
    rng = np.random.default_rng(0)
    channels = np.linspace(1.40e9, 1.46e9, 16)
    slots = round(1e6 * million / (351 * channels.size))
    rows = observe(array("vla-a"), declination=0.7, slots=slots, frequency=float(channels[-1]))
    grid = Grid(128, cell_for(rows), rows.centre)
    sky = np.zeros(grid.shape)
    sky[80, 50], sky[40, 70] = 1.0, 0.5
    places = np.argwhere(sky) - grid.size // 2
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.ms"
        began = time.perf_counter()
        with MeasurementSetWriter(path, rows.select(slice(0, 2 * 351)), frequency=channels) as writer:
            for first in range(0, slots, 36):
                part = rows.select(slice(351 * first, 351 * (first + 36)))
                part = replace(part.select(np.repeat(np.arange(part.rows), 16)), frequency=np.tile(channels, part.rows))
                phase = part.uv(grid) @ places.T
                noise = rng.standard_normal(part.rows) + 1j * rng.standard_normal(part.rows)
                data = np.exp(-1j * phase) @ sky[sky > 0] + 0.1 * noise
                writer.append(replace(part, data=data, weight=np.full(part.rows, 100.0)))
        del rows
        size = sum(f.stat().st_size for f in path.rglob("*")) / 1e9
        print(f"chunks: {16 * writer.rows} visibilities, {size:.2f} GB, written in {time.perf_counter() - began:.0f} s")
        few = ranges(path, 12000)[: max(1, len(ranges(path, 12000)) // 20)]
        some = [partial(read_measurement_set, path, start=a, rows=n) for a, n in few]
        last = few[-1][0] + few[-1][1]
        for name, reads in (
            ("all", stream_measurement_set(path, 12000)),
            ("a twentieth", some),
            ("a twentieth, in one", [partial(read_measurement_set, path, start=0, rows=last)]),
        ):
            began = time.perf_counter()
            model = Streamed(reads, grid, size=3, basis="dct", terms=3)
            unit, scanned = model.kernels.unit(), time.perf_counter() - began
            gradient = Misfit(model, unit)(sky)[1]
            imaged = time.perf_counter() - began - scanned
            normal = NormalEquations.of(model, sky, unit).matrix()
            spent = time.perf_counter() - began - scanned - imaged
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            print(f"  {name}: {model.rows} visibilities, {len(reads)} chunks: scanned in {scanned:.0f} s,")
            print(f"    gradient of the image {imaged:.0f} s, normal equations {spent:.0f} s,")
            print(f"    peak memory so far {memory:.2f} GB", flush=True)
            if name == "a twentieth":
                kept = gradient, normal
            elif name != "all":
                gaps = [np.abs(a - b).max() / np.abs(b).max() for a, b in zip(kept, (gradient, normal), strict=True)]
                print(f"    chunks against one: gradient {gaps[0]:.1e}, normal equations {gaps[1]:.1e}")


def main() -> None:
    """Run the sections."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sections", default="speed,calibration,methods")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--skies", type=Path)
    parser.add_argument("--names", default="", help="skies of the methods, by default all")
    parser.add_argument("--million", type=float, default=20.0)
    given = parser.parse_args()
    for section in given.sections.split(","):
        if section == "methods":
            methods(given.skies, given.seeds, given.names)
        elif section == "chunks":
            chunks(given.million)
        else:
            {"speed": speed, "calibration": calibration}[section](given.rounds)


if __name__ == "__main__":
    main()
