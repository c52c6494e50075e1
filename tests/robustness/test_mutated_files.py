"""What is exported and read back: a damaged file is refused or read as it was, and no foreign exception leaves."""

from __future__ import annotations

import re
import runpy
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from retrodict.inverse.flames.burning_velocities import BurningVelocities, BurningVelocity
from retrodict.inverse.flames.chemked import read_chemked, write_chemked
from retrodict.inverse.pde.samples import read_samples
from retrodict.physics.errors import DataError, RetrodictError
from retrodict.physics.flames.mechanism import load_mechanism, read_posterior, write_mechanism
from retrodict.physics.radio.fits_image import read_image, write_image
from retrodict.physics.radio.gain_table import read_gains, write_gains
from retrodict.physics.radio.gains import Kernels, TimeBasis
from retrodict.physics.radio.measurement_set import read_measurement_set, write_measurement_set
from retrodict.physics.radio.uvfits import read_uvfits
from retrodict.physics.radio.uvfits_writing import write_uvfits
from retrodict.physics.radio.visibilities import Grid, Visibilities

MUTATIONS = 40
CHANGES = runpy.run_path(str(Path(__file__).with_name("changed_bytes.py")))["EVERY"]
CARDS = re.compile(rb"(CHECKSUM|DATASUM|ORIGIN  )= .{70}")

Flat = Callable[[Path], list[object]]


def visibilities() -> Visibilities:
    rng = np.random.default_rng(1)
    first, second = np.array([0, 0, 1] * 2), np.array([1, 2, 2] * 2)
    time = np.repeat([5e9, 5e9 + 10], 3)
    data = rng.normal(size=6) + 1j * rng.normal(size=6)
    uvw, weight = rng.normal(size=(6, 3)) * 1e3, rng.uniform(1, 2, 6)
    return Visibilities(uvw, [1e9] * 6, time, first, second, data, weight, np.zeros(6, bool), feeds=("I",))


def told(vis: Visibilities) -> list[object]:
    return [
        vis.uvw,
        vis.frequency,
        vis.time,
        vis.antenna1,
        vis.antenna2,
        vis.data,
        vis.weight,
        vis.positions,
        vis.centre,
    ]


def image(path: Path) -> Flat:
    write_image(path, np.random.default_rng(0).normal(size=(8, 8)), Grid(8, 1e-5, (0.5, -0.3)), frequency=1e9)
    return lambda p: [*read_image(p)]


def foreign_image(path: Path) -> Flat:
    read = image(path)
    path.write_bytes(CARDS.sub(b" " * 80, path.read_bytes()))
    return read


def gains(path: Path) -> Flat:
    kernels = Kernels(3, 16, TimeBasis("dct", 0.0, 9.0, 2), 2)
    rng = np.random.default_rng(0)
    write_gains(path, kernels, rng.normal(size=kernels.shape) + 1j * rng.normal(size=kernels.shape), ["a", "b"])

    def flat(p: Path) -> list[object]:
        table = read_gains(p)
        return [table.kernels, table.gains, table.receptors]

    return flat


def mechanism(path: Path) -> Flat:
    gas = load_mechanism("h2o2.yaml").restricted(["H"])
    write_mechanism(gas, {"b": gas.parameters["b"] + 0.5}, path, [[0.04]], ["b[1]"])

    def flat(p: Path) -> list[object]:
        found = load_mechanism(p)
        return [found.species, found.equations, *found.parameters.values(), *read_posterior(p)]

    return flat


def foreign_mechanism(path: Path) -> Flat:
    read = mechanism(path)
    path.write_bytes(path.read_bytes().partition(b"\n")[2])
    return read


def chemked(path: Path) -> Flat:
    point = BurningVelocity({"CH4": 0.1, "O2": 0.9}, 300.0, 1e5, 0.4, 0.02)
    write_chemked(BurningVelocities((point,)), path)
    return lambda p: [(q.composition, q.temperature, q.pressure, q.value, q.deviation) for q in read_chemked(p).points]


def foreign_chemked(path: Path) -> Flat:
    read = chemked(path)
    path.write_bytes(path.read_bytes().partition(b"\n")[2])
    return read


def uvfits(path: Path) -> Flat:
    write_uvfits(visibilities(), path)
    return lambda p: told(read_uvfits(p))


def foreign_uvfits(path: Path) -> Flat:
    read = uvfits(path)
    path.write_bytes(CARDS.sub(b" " * 80, path.read_bytes()))
    return read


def measurement_set(path: Path) -> Flat:
    write_measurement_set(path, visibilities())
    return lambda p: told(read_measurement_set(p))


def samples(path: Path) -> Flat:
    path.write_text("x,t,u,sigma\n" + "".join(f"{0.1 * k},{0.01 * k},{0.3 * k},0.1\n" for k in range(20)))
    return lambda p: [read_samples(p).u]


def samples_of_others(path: Path) -> Flat:
    samples(path)
    read_samples(path).to_dataset().to_netcdf(path, engine="netcdf4")
    return lambda p: [read_samples(p).u]


OURS = {
    "image": (image, "a.fits"),
    "uvfits": (uvfits, "a.uvfits"),
    "gains": (gains, "a.zarr"),
    "mechanism": (mechanism, "a.yaml"),
    "chemked": (chemked, "a.yaml"),
}
OTHERS = {
    "image": (foreign_image, "a.fits"),
    "uvfits": (foreign_uvfits, "a.uvfits"),
    "mechanism": (foreign_mechanism, "a.yaml"),
    "chemked": (foreign_chemked, "a.yaml"),
    "samples as text": (samples, "a.csv"),
    "samples as netcdf": (samples_of_others, "a.nc"),
}


def alike(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(np.asarray(one), np.asarray(other))
    return one == other


def readings(write: Callable[[Path], Flat], path: Path, seed: str, count: int = MUTATIONS) -> list[bool | None]:
    """Return for each mutation whether the content was the same; None where it was refused."""
    read = write(path)
    whole, rng, found = read(path), np.random.default_rng(list(seed.encode())), []
    for k in range(count):
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        part = files[int(rng.integers(len(files)))]
        raw = part.read_bytes()
        # most of what happens is one bit; half of those in the first block, where headers are
        change = CHANGES[0] if k % 2 else CHANGES[int(rng.integers(len(CHANGES)))]
        cut = 2880 if k % 4 < 2 else len(raw)
        part.write_bytes(change(raw[:cut], rng) + raw[cut:])
        try:
            with warnings.catch_warnings(action="ignore"):
                found.append(all(alike(a, b) for a, b in zip(whole, read(path), strict=True)))
        except RetrodictError:
            found.append(None)
        part.write_bytes(raw)
    return found


@pytest.mark.parametrize("kind", OURS)
def test_a_damaged_export_is_refused_or_read_as_it_was(tmp_path: Path, kind: str) -> None:
    write, name = OURS[kind]
    found = readings(write, tmp_path / name, kind)
    assert False not in found
    assert found.count(None) > MUTATIONS / 2


@pytest.mark.parametrize("kind", OTHERS)
def test_damage_without_a_checksum_leads_to_no_other_exception(tmp_path: Path, kind: str) -> None:
    write, name = OTHERS[kind]
    assert None in readings(write, tmp_path / name, kind, 20)


def test_a_measurement_set_whose_columns_are_cut_short_is_refused(tmp_path: Path) -> None:
    read = measurement_set(tmp_path / "a.ms")
    refused = 0
    for part in sorted(p for p in (tmp_path / "a.ms").rglob("table.f*") if p.stat().st_size):
        raw = part.read_bytes()
        part.write_bytes(raw[: len(raw) // 2])
        try:
            read(tmp_path / "a.ms")
        except RetrodictError:
            refused += 1
        part.write_bytes(raw)
    assert refused > 5


def test_an_image_of_ours_that_lost_its_checksum_is_refused_and_one_of_others_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    read = image(path)
    whole = read(path)
    path.write_bytes(re.sub(rb"CHECKSUM= .{70}", b" " * 80, path.read_bytes()))
    with pytest.raises(DataError, match="CHECKSUM: got nothing"):
        read(path)
    path.write_bytes(CARDS.sub(b" " * 80, path.read_bytes()))
    assert alike(read(path)[0], whole[0])


def test_an_image_that_another_program_packed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    values = np.random.default_rng(0).normal(size=(8, 8))
    packed = fits.CompImageHDU(values, compression_type="GZIP_2", quantize_level=0)
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(path, checksum=True)
    assert np.array_equal(read_image(path, cell=1e-5)[0], values.T)


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 8)}]\n" for k in range(1, 8)
)


@pytest.mark.parametrize("read", [load_mechanism, read_chemked])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "aliases that turn 81 entries into 2.19e"),
        ("a: &a\n  b: *a\n", r"the alias \*a"),
        ("a: " + "[" * 100_000, r"a\.yaml:1: got brackets 101 deep"),
    ],
    ids=["bomb", "endless", "deep"],
)
def test_yaml_that_would_blow_up_is_refused_in_a_line(tmp_path: Path, read: Callable, text: str, words: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(DataError, match=words) as told:
        read(tmp_path / "a.yaml")
    assert len(str(told.value)) < 5000


def test_yaml_that_repeats_a_block_by_its_name_is_read(tmp_path: Path) -> None:
    chemked(tmp_path / "a.yaml")
    text = (tmp_path / "a.yaml").read_text().partition("\n")[2]
    text = text.replace("- composition:", "- &first\n  composition:")
    head, mark, points = text.partition("datapoints:\n")
    at = points.index("- &first")
    block = points[at:].partition("\n-")[0].partition("\nexperiment")[0].partition("\nreference")[0]
    many = block + "\n" + "- *first\n" * 40
    (tmp_path / "a.yaml").write_text(head + mark + points[:at] + many + points[at + len(block) + 1 :])
    assert len(read_chemked(tmp_path / "a.yaml").points) == 41
