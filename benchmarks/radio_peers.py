"""WSClean and DP3 beside ours, on MeasurementSets that ours writes: places of sources, an image, calibrated data.

    OMP_NUM_THREADS=1 python benchmarks/radio_peers.py --wsclean PATH --dp3 PATH [--sections places,image,calibration]

Neither program is a part of the project: ``wsclean`` is a package of Debian, ``dp3`` one of PyPI for an environment of
its own, whose program is ``bin/DP3.py``. A program that is not given is left out, and said to be.

`places`: point sources at places without symmetry, with the phase of ``w``, imaged by WSClean: distance of its peaks
from the truth, and their flux; the same with ``w`` negated, which must smear them; and DP3's prediction of the sources
beside ours. `image`: an extended sky without errors of gains, by WSClean with multiscale CLEAN over a small grid of
options, and by ours with gains held at one: signal to noise of the sky in Jy/pixel. `calibration`: the sky known, gains
that depend on direction, by DDECal over a grid of directions and intervals, and by ours: distance of the predicted
visibilities from those without noise. The best entry of a grid is found by the truth, for the peers as for ours; what
depends on the truth is said. In the last two the baselines are made coplanar in the table, as the simulation has it.

One thread. The seconds of the peers are those of the process, with reading; ours are with reading, after a first run
that compiles.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.radio_setup import Observation, RadioSettings, observed, solver_of
from retrodict.physics.errors import DataError
from retrodict.physics.radio.arrays import array, cell_for, observe
from retrodict.physics.radio.fits_image import read_image
from retrodict.physics.radio.gains import BasisKind, TimeBasis
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.physics.radio.measurement_set import read_measurement_set, write_measurement_set
from retrodict.physics.radio.simulation import simulate
from retrodict.physics.radio.sky import Catalogue
from retrodict.physics.radio.visibilities import LIGHT, Grid, Visibilities
from retrodict.solvers.iterate import iterate
from retrodict.solvers.radio.gain_newton import GainNewton, Prior
from retrodict.solvers.radio.gauge import signal_to_noise

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

SOURCES = Catalogue(
    np.array([-870.0, 310.0, 705.5, -120.0, 36.0]),
    np.array([590.0, -843.0, 212.25, -431.0, 118.0]),
    np.array([1.0, 0.8, 0.6, 0.5, 0.3]),
)
"""To the west and to the north [pixel], in a field that is wide enough for the phase of w to be radians."""


def run(command: Sequence[object], folder: Path) -> float:
    """Run a program with one thread and return seconds."""
    import casacore

    data = str(Path(str(casacore.__file__)).parent)
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    began = time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **single, "AIPSPATH": data},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed with {done.returncode}:\n{done.stdout[-3000:]}")
    return time.perf_counter() - began


def cleaned(program: str, table: Path, grid: Grid, size: int, *options: object) -> float:
    """Image a table by WSClean into ``out-*.fits`` beside it and return seconds."""
    scale = f"{np.rad2deg(grid.cell):.12g}"
    head = [program, "-j", 1, "-no-update-model-required", "-name", "out", "-size", size, size, "-scale", scale]
    return run([*head, *options, table.name], table.parent)


def peak(image: Floats, x: float, y: float) -> tuple[float, float, float]:
    """Return place and height of the peak near a place, by parabolas through the logarithm."""
    half, reach = len(image) // 2, 6
    i, j = round(x) + half, round(y) + half
    part = image[i - reach : i + reach + 1, j - reach : j + reach + 1]
    a, b = np.unravel_index(part.argmax(), part.shape)
    i, j = i - reach + int(a), j - reach + int(b)
    place, height = [], np.log(image[i, j])
    for at, line in ((i, image[i - 1 : i + 2, j]), (j, image[i, j - 1 : j + 2])):
        low, middle, high = np.log(np.maximum(line, 1e-9))
        shift = 0.5 * (low - high) / (low - 2 * middle + high)
        place.append(at - half + shift)
        height -= 0.25 * (low - high) * shift
    return place[0], place[1], float(np.exp(height))


def celestial(grid: Grid, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return right ascension and declination [degree] of places in pixels, by the SIN projection."""
    east, north = -x * grid.cell, y * grid.cell
    along, (ra, dec) = np.sqrt(1 - east**2 - north**2), grid.centre
    high = np.arcsin(north * np.cos(dec) + along * np.sin(dec))
    right = ra + np.arctan2(east, along * np.cos(dec) - north * np.sin(dec))
    return np.rad2deg(right) % 360, np.rad2deg(high)


def directions(x: Floats, y: Floats, flux: Floats, count: int) -> NDArray[np.int64]:
    """Return the direction of each source: k-means weighted by flux, begun with strips of equal flux."""
    side = round(np.sqrt(count))
    label = np.zeros(x.size, np.int64)

    def strips(value: Floats, which: NDArray[np.int64]) -> NDArray[np.int64]:
        order = which[np.argsort(value[which], kind="stable")]
        share = np.cumsum(flux[order]) / flux[order].sum()
        out = np.zeros(x.size, np.int64)
        out[order] = np.minimum((share * side).astype(int), side - 1)
        return out

    label = strips(x, np.arange(x.size))
    label = label * side + sum(strips(y, np.flatnonzero(label == k)) for k in range(side))
    for _ in range(20):
        total = np.bincount(label, flux, count)
        centre = np.stack([np.bincount(label, flux * v, count) for v in (x, y)]) / total
        label = np.argmin((x[:, None] - centre[0]) ** 2 + (y[:, None] - centre[1]) ** 2, axis=1)
    return np.asarray(label, np.int64)


def write_sources(path: Path, grid: Grid, sources: Catalogue, label: NDArray[np.int64]) -> None:
    """Write a sky model of DP3, a patch for each direction."""
    ra, dec = celestial(grid, sources.x, sources.y)
    lines = ["FORMAT = Name, Type, Patch, Ra, Dec, I"]
    for k in range(label.max() + 1):
        mine = label == k
        weights = sources.flux[mine] / sources.flux[mine].sum()
        a, d = celestial(grid, np.array([weights @ sources.x[mine]]), np.array([weights @ sources.y[mine]]))
        lines.append(f" , , p{k}, {a[0]:.12f}deg, {d[0]:.12f}deg, ")
    for k, (a, d, f) in enumerate(zip(ra, dec, sources.flux, strict=True)):
        lines.append(f"s{k}, POINT, p{label[k]}, {a:.12f}deg, {d:.12f}deg, {f:.9g}")
    path.write_text("\n".join(lines) + "\n")


def write_four(path: Path, vis: Visibilities) -> None:
    """Write a table with XX, XY, YX and YY, which DP3 demands and our writer has not: the cross hands are zero."""
    from casacore.tables import makearrcoldesc, maketabdesc, table

    twice = vis.select(np.repeat(np.arange(vis.rows), 2))
    write_measurement_set(path, replace(twice, feeds=("XX", "YY"), feed=np.arange(2 * vis.rows) % 2), overwrite=True)
    with table(str(path), readonly=False, ack=False) as main:
        for name in ("DATA", "FLAG", "WEIGHT_SPECTRUM", "WEIGHT", "SIGMA"):
            old, kind = main.getcol(name), main.coldatatype(name)
            four = old[..., [0, 0, 1, 1]]
            if name == "DATA":
                four[..., 1:3] = 0
            main.removecols(name)
            cell = list(four.shape[1:])
            described = makearrcoldesc(name, four.flat[0].item(), valuetype=kind, ndim=len(cell), shape=cell)
            main.addcols(maketabdesc([described]), {"TYPE": "TiledColumnStMan", "NAME": f"Four{name}"})
            main.putcol(name, four)
    with table(f"{path}::POLARIZATION", readonly=False, ack=False) as hands:
        hands.putcell("NUM_CORR", 0, 4)
        hands.putcell("CORR_TYPE", 0, np.array([9, 10, 11, 12], np.int32))
        hands.putcell("CORR_PRODUCT", 0, np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.int32))


def coplanar(vis: Visibilities) -> Visibilities:
    """Return the rows without w, as the simulation without it has them."""
    return replace(vis, uvw=vis.uvw * np.array([1.0, 1.0, 0.0]))


def apart(a: Complexes, b: Complexes) -> float:
    """Return the distance relative to the second."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def places(folder: Path, wsclean: str | None, dp3: str | None) -> None:
    """Print where the peers see point sources."""
    vis = observe(array("vla-a"), declination=0.6, right_ascension=1.1, slots=60, frequency=1.4e9)
    grid = Grid(2048, cell_for(vis), vis.centre)
    filled, clean = simulate(vis, grid, SOURCES, w=True)
    far = np.hypot(SOURCES.x, SOURCES.y).max() * grid.cell
    phase = np.pi * np.abs(vis.uvw[:, 2]).max() * 1.4e9 / LIGHT * far**2
    print(f"places: VLA-A, {vis.rows} rows, {len(SOURCES)} sources, pi |w| theta^2 up to {phase:.2f} rad")
    table = folder / "points.ms"
    if wsclean is None:
        print("  WSClean not given")
    else:
        negated = replace(filled, uvw=vis.uvw * np.array([1.0, 1.0, -1.0]))
        for name, rows, options in (
            ("natural", filled, ("-weight", "natural")),
            ("briggs 0", filled, ("-weight", "briggs", 0)),
            ("briggs 0, w negated", negated, ("-weight", "briggs", 0)),
        ):
            write_measurement_set(table, rows, overwrite=True)
            more = ("-niter", 5000, "-mgain", 0.8, "-gain", 0.1, "-threshold", 1e-3, "-use-wgridder")
            seconds = cleaned(wsclean, table, grid, grid.size, *options, *more)
            image, seen = read_image(folder / "out-image.fits")
            shift = np.rad2deg(np.hypot(*(np.array(seen.centre) - grid.centre))) * 3600
            off = f"cell off by {seen.cell / grid.cell - 1:.1e}, centre by {shift:.1e} arcsec"
            print(f"  WSClean, {name}: {seconds:.1f} s, {off}")
            for x, y, flux in zip(SOURCES.x, SOURCES.y, SOURCES.flux, strict=True):
                a, b, f = peak(image, x, y)
                line = f"    west {x:7.2f} north {y:7.2f}: off by {a - x:+.3f} {b - y:+.3f} pixels"
                print(f"{line}, flux {flux:.2f} off by {100 * (f / flux - 1):+.2f} %")
    if dp3 is None:
        print("  DP3 not given")
        return
    write_four(table, filled)
    write_sources(folder / "points.txt", grid, SOURCES, np.arange(len(SOURCES)))
    seconds = run([dp3, "msin=points.ms", "msout=.", "msout.datacolumn=MODEL_DATA", "steps=[predict]",
                   "predict.sourcedb=points.txt", "numthreads=1"], folder)  # fmt: skip
    told = read_measurement_set(table, column="MODEL_DATA")
    print(f"  DP3's prediction: off by {apart(told.data, clean):.1e} of ours, {seconds:.1f} s")


def image(folder: Path, wsclean: str | None, _dp3: str | None) -> None:
    """Print signal to noise of the image of an extended sky."""
    config = RadioSettings()
    old = observed(config)
    vis, clean = simulate(coplanar(old.vis), old.grid, old.sky, rng=np.random.default_rng(5), snr_db=config.snr)
    table = folder / "extended.ms"
    write_measurement_set(table, vis)
    print(f"image: spiral, VLA-A, {vis.rows} rows, {config.snr:.0f} dB, no errors of gains")
    for _ in range(2):
        began = time.perf_counter()
        seen = Observation(read_measurement_set(table), clean, old.grid, old.sky, None, None, config)
        found = iterate(solver_of(seen, "no calibration"), config.max_steps)
        seconds = time.perf_counter() - began
    line = f"{signal_to_noise(found.data['image'].values, old.sky):6.2f} dB, {seconds:.1f} s, {found.status.value}"
    print(f"  ours, unit gains, a tenth held out            {line}")
    if wsclean is None:
        print("  WSClean not given")
        return
    size, results = old.grid.size, []
    weights = (("natural",), ("uniform",), ("briggs", 0), ("briggs", -1))
    grid = itertools.product(weights, ("-multiscale", ""), ("", "-no-negative"), (0.3, 1, 3), (size, 3 * size // 2))
    for weight, scales, sign, sigma, wide in grid:
        options = [*(o for o in (scales, sign) if o), "-weight", *weight, "-auto-threshold", sigma]
        more = ("-niter", 200000, "-mgain", 0.8, "-gain", 0.1)
        seconds = cleaned(wsclean, table, old.grid, wide, *options, *more)
        name = f"{' '.join(str(o) for o in options)}, {wide} pixels"
        try:
            model, _ = read_image(folder / "out-model.fits")
        except DataError as error:
            print(f"  WSClean, {name}: {error}")
            continue
        cut = (wide - size) // 2
        sky = model[cut : cut + size, cut : cut + size]
        factor = float(np.vdot(sky, old.sky)) / max(float(np.vdot(sky, sky)), 1e-300)
        results.append((signal_to_noise(sky, old.sky), seconds, factor, name))
    for snr, seconds, factor, name in sorted(results, reverse=True):
        print(f"  WSClean {snr:6.2f} dB, {seconds:5.1f} s, best factor {factor:.4f}: {name}")


def ours_calibrated(seen: Observation, table: Path) -> None:
    """Print ours with the sky known: functions of time as in the default setting, and gains of every slot."""
    kinds: tuple[tuple[int, BasisKind, int], ...] = ((5, "dct", 3), (3, "slots", seen.config.slots))
    for (size, kind, terms), spread in itertools.product(kinds, (0.05 / np.sqrt(3), 0.1, 1.0)):
        for _ in range(2):
            began = time.perf_counter()
            vis = read_measurement_set(table)
            vis = replace(vis, weight=vis.weight / 2)  # both hands carry the same noise: their mean is no better
            basis = TimeBasis.spanning(kind, vis.slots[1], terms)
            model = Interferometer(vis, seen.grid, size=size, basis=basis, precision="single")
            gains = model.kernels.unit()
            prior, newton, line = Prior.about(gains, spread), GainNewton(model), []
            for _ in range(6):
                gains = newton.step(seen.sky, gains, prior, 1.0).gains
                line.append((gains, time.perf_counter() - began))
        text = [f"{apart(model.predict(seen.sky, g), seen.clean):.2e} @ {s:.1f} s" for g, s in line]
        name = f"{size} x {size} coefficients, {kind} {terms}"
        print(f"  ours, {name}, spread {spread:.3f} a priori, by step: {', '.join(text)}")


def calibration(folder: Path, _wsclean: str | None, dp3: str | None) -> None:
    """Print how well calibrated gains predict the data, the sky known."""
    for effects in ("smooth", "ionosphere"):
        old = observed(RadioSettings(effects=effects))
        seen = replace(old, vis=coplanar(old.vis))
        table = folder / f"{effects}.ms"
        write_four(table, seen.vis)
        noise, unit = apart(seen.vis.data, seen.clean), seen.model(size=1)
        none = apart(unit.predict(seen.sky, unit.kernels.unit()), seen.clean)
        print(f"calibration: spiral, VLA-A, {seen.vis.rows} rows, {effects}: |V - V clean| / |V clean|")
        print(f"  data {noise:.2e}, gains of one {none:.2e}")
        ours_calibrated(seen, table)
        if dp3 is None:
            print("  DP3 not given")
            continue
        print("  DDECal, best first:")
        for error, seconds, name in sorted(ddecal(dp3, seen, table)):
            print(f"    {error:.2e} @ {seconds:5.1f} s: {name}")


def ddecal(dp3: str, seen: Observation, table: Path) -> list[tuple[float, float, str]]:
    """Return error, seconds and name of DDECal's entries."""
    i, j = np.nonzero(seen.sky)
    at = seen.grid.coordinates.astype(np.float64)
    sources = Catalogue(at[i], at[j], seen.sky[i, j])
    data, out = read_measurement_set(table).data, []
    for count in (1, 4, 9, 16):
        label = directions(sources.x, sources.y, sources.flux, count)
        write_sources(table.parent / "sky.txt", seen.grid, sources, label)
        for mode, interval in itertools.product(("scalar", "diagonal"), (1, 2, 4, 10, 20, 60)):
            seconds = run(
                [dp3, f"msin={table.name}", "msout=.", "msout.datacolumn=CORRECTED_DATA", "steps=[ddecal]",
                 "ddecal.sourcedb=sky.txt", f"ddecal.mode={mode}", f"ddecal.solint={interval}", "ddecal.maxiter=100",
                 "ddecal.tolerance=1e-5", "ddecal.subtract=true", "ddecal.h5parm=gains.h5", "numthreads=1"],
                table.parent,
            )  # fmt: skip
            left = read_measurement_set(table, column="CORRECTED_DATA").data
            out.append((apart(data - left, seen.clean), seconds, f"{count} directions, {mode}, {interval} slots"))
            (table.parent / "gains.h5").unlink()
    return out


def main() -> None:
    """Run the sections."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sections", default="places,image,calibration")
    parser.add_argument("--wsclean")
    parser.add_argument("--dp3")
    given = parser.parse_args()
    for section in given.sections.split(","):
        with tempfile.TemporaryDirectory() as folder:
            act = {"places": places, "image": image, "calibration": calibration}[section]
            act(Path(folder), given.wsclean, given.dp3)


if __name__ == "__main__":
    main()
