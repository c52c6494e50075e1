"""Damaged track files: refused, reported, or read as what the damaged bytes truly say."""

import csv
import json
import re
import runpy
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pint
import pytest

from retrodict.physics.errors import DataError
from retrodict.physics.motion.tracks import DamagedRecordWarning, read_tracks

MUTATIONS = 200
LITERALS = [b"nan", b"inf", b"-1e999", b"1e30", b"", b"1_0", b"0x1F", b"-", b"1,5", b"99999999999999999999"]
UNIT_TO_SI = {"time[s]": 1.0, "speed[km/h]": 1 / 3.6, "yaw_rate[deg/s]": np.pi / 180, "steering[rad]": 1.0}

FILES = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parents[1] / "physics" / "motion" / "tracks" / "synthetic_files.py"))
)
CHANGES = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("changed_bytes.py"))))
WRITERS = {
    "commonroad 2018b": ("commonroad", "a.xml", lambda: FILES.commonroad("2018b", 6)),
    "commonroad 2020a": ("commonroad", "a.xml", lambda: FILES.commonroad("2020a", 6)),
    "argoverse2": ("argoverse2", "a.parquet", FILES.argoverse),
    "waymo": ("waymo", "a.tfrecord", FILES.waymo),
    "ngsim text": ("ngsim", "a.txt", FILES.ngsim_text),
    "ngsim csv": ("ngsim", "a.csv", FILES.ngsim_csv),
    "eth-ucy": ("eth-ucy", "a.txt", FILES.eth),
    "drive-log": ("drive-log", "a.csv", FILES.drive_log),
}


def swap_lines(data, rng):
    lines = data.split(b"\n")
    i, j = rng.integers(len(lines), size=2)
    lines[i], lines[j] = lines[j], lines[i]
    return b"\n".join(lines)


def double_line(data, rng):
    lines = data.split(b"\n")
    lines.insert(int(rng.integers(len(lines))), lines[int(rng.integers(len(lines)))])
    return b"\n".join(lines)


def drop_line(data, rng):
    lines = data.split(b"\n")
    del lines[int(rng.integers(len(lines)))]
    return b"\n".join(lines)


def replace_number(data, rng):
    found = list(re.finditer(rb"[0-9.]+", data))
    match = found[int(rng.integers(len(found)))]
    return data[: match.start()] + LITERALS[int(rng.integers(len(LITERALS)))] + data[match.end() :]


def change_digit(data, rng):
    found = [match.start() for match in re.finditer(rb"[0-9]", data)]
    at = found[int(rng.integers(len(found)))]
    return data[:at] + b"%d" % rng.integers(10) + data[at + 1 :]


def drop_tag(data, rng):
    found = list(re.finditer(rb"<[^<>]*>", data))
    match = found[int(rng.integers(len(found)))]
    return data[: match.start()] + data[match.end() :]


BINARY = [CHANGES.flip, *CHANGES.EVERY]
TEXT = [
    CHANGES.flip,
    CHANGES.flip,
    CHANGES.delete,
    CHANGES.insert,
    CHANGES.truncate,
    swap_lines,
    double_line,
    drop_line,
    replace_number,
    change_digit,
]


def mutate(data, form, rng):
    kinds = BINARY if form in ("argoverse2", "waymo") else [*TEXT, drop_tag] if form == "commonroad" else TEXT
    return kinds[int(rng.integers(len(kinds)))](data, rng)


def table(tracks):
    """Return {(track, time): {quantity: value}} of all valid states."""
    names = [str(name) for name in tracks.data_vars if tracks[name].dims == ("track", "time") and name != "valid"]
    found = {}
    bodies = {name: tracks[name].values for name in ("length", "width") if name in tracks}
    values = {name: tracks[name].values for name in names if not name.endswith("_valid")}
    for i, k in np.argwhere(tracks["valid"].values):
        row = {name: float(grid[i, k]) for name, grid in values.items() if not np.isnan(grid[i, k])}
        row |= {name: float(body[i]) for name, body in bodies.items()}
        found[str(tracks["track"].values[i]), round(float(tracks["time"].values[k]), 6)] = row
    return found


def same(a, b):
    if a.keys() != b.keys():
        return False
    gaps = {name: abs(a[name] - b[name]) for name in a}
    if "heading" in gaps:
        gaps["heading"] = abs((gaps["heading"] + np.pi) % (2 * np.pi) - np.pi)
    return all(gap <= 1e-9 * (1 + abs(a[name])) for name, gap in gaps.items())


class Naive:
    """Independent readings of text, without any check: key -> list of what is said about it, and what is no number."""

    def __init__(self):
        self.records = {}
        self.odd = 0

    def add(self, track, at, row):
        self.records.setdefault((track, round(at, 6)), []).append(row)


def naive_eth(data):
    said = Naive()
    for line in data.split(b"\n"):
        fields = re.findall(rb"[^ \t\r]+", line)
        try:
            at, name, x, y = (float(field) for field in fields)
            said.add(f"{name:.0f}", at * 0.04, {"x": x, "y": y})
        except ValueError:
            said.odd += bool(fields)
    return said


def naive_ngsim(data):
    said = Naive()
    lines = data.split(b"\n")
    names = [name.lower() for name in FILES.CSV_HEADER.split(",")]
    text = "vehicle_id" not in lines[0].decode(errors="replace").lower()
    if text:
        names = names[:14] + names[20:24]
    else:
        names = [name.strip().lower() for name in next(csv.reader([lines.pop(0).decode(errors="replace")]), [])]
    for line in lines:
        try:
            fields = line.decode().strip("\r")
            fields = re.findall(r"[^ \t]+", fields) if text else next(csv.reader([fields]), [])
            if not fields:
                continue
            row = dict(zip(names, fields, strict=True))
            number = {name: float(row[name]) for name in names if name.startswith(("local", "v_", "v", "t", "f"))}
            name = f"{number['vehicle_id']:.0f}/{number['total_frames']:.0f}"
            where = "" if text else row["location"].strip() + "/"
            found = {"x": "local_x", "y": "local_y", "speed": "v_vel", "acceleration": "v_acc"}
            found |= {"length": "v_length", "width": "v_width"}
            values = {key: number[column] * 0.3048 for key, column in found.items()}
            said.add(where + name, float(row["global_time"]) / 1000, values)
        except (ValueError, KeyError):
            said.odd += 1
    return said


def naive_commonroad(data):
    said = Naive()
    text = data.decode(errors="replace")
    step = re.search(r'timeStepSize="([0-9.e]+)"', text)
    for tag, name, body in re.findall(r'<(obstacle|dynamicObstacle) id="([^"]*)">(.*?)</\1>', text, re.DOTALL):
        if tag == "obstacle" and "<role>dynamic" not in body:
            continue
        size = [re.search(rf"<{key}>([^<]*)<", body) for key in ("length", "width")]
        for _, inner in re.findall(r"<(initialState|state)>(.*?)</\1>", body, re.DOTALL):
            found = {key: re.search(rf"<{key}>([^<]*)<", inner) for key in ("x", "y")}
            for key, title in (("orientation", "heading"), ("velocity", "speed"), ("acceleration", "acceleration")):
                found[title] = re.search(rf"<{key}>\s*<exact>([^<]*)<", inner)
            at = re.search(r"<time>\s*<exact>([^<]*)<", inner)
            try:
                row = {key: float(match[1]) for key, match in found.items() if match}
                row |= {"length": float(size[0][1]), "width": float(size[1][1])}
                said.add(name, float(at[1]) * float(step[1]), row)
            except (ValueError, TypeError):
                said.odd += 1
    return said


def naive_drive_log(data):
    said = Naive()
    lines = [line.strip(b"\r") for line in data.split(b"\n") if line.strip()]
    titles = next(csv.reader([lines[0].decode(errors="replace")]))
    units = {"time": "s", "speed": "m/s", "yaw_rate": "rad/s", "steering": "rad"}
    for line in lines[1:]:
        try:
            row = dict(zip(titles, next(csv.reader([line.decode()])), strict=True))
            values = {}
            for title, field in row.items():
                name, unit = title.strip().strip("]").split("[")
                known = UNIT_TO_SI.get(title.strip())
                factor = known or float(REGISTRY.Quantity(1.0, unit).to(units[name.strip()]).magnitude)
                values[name.strip()] = float(field) * factor
            said.add("log", values.pop("time"), values)
        except (ValueError, KeyError, pint.errors.PintError):
            said.odd += 1
    return said


REGISTRY = pint.UnitRegistry()
NAIVE = {"eth-ucy": naive_eth, "ngsim": naive_ngsim, "commonroad": naive_commonroad, "drive-log": naive_drive_log}


def name_of(track):
    """Drop the suffix that tells periods of one NGSIM key apart."""
    return re.sub(r"(/\d+/\d+|^\d+/\d+)/\d+$", r"\1", track)


def judge(found, original, form, data, whole):
    """Return what is wrong with a result, or None."""
    if all(key in original and same(row, original[key]) for key, row in found.items()) and (
        not whole or found.keys() == original.keys()
    ):
        return None
    if form not in NAIVE:
        return "values or states that the file never had"
    said = NAIVE[form](data)
    for (track, at), row in found.items():
        key = name_of(track) if form == "ngsim" else track, at
        if not any(same(row, other) for other in said.records.get(key, [])):
            return f"{key} {row} is not what the file says: {said.records.get(key)}"
    if whole and (said.odd or len(found) != sum(len(rows) for rows in said.records.values())):
        return f"silently left out: {said.odd} odd, {len(found)} of {len(said.records)} read"
    return None


def attempt(path, form, mode):
    """Return the result, None where the file was refused as it should be, and what was reported."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.perf_counter()
        try:
            tracks, refusal = read_tracks(path, form, damaged=mode), path.name
        except DataError as error:
            tracks, refusal = None, str(error)
        assert time.perf_counter() - start < 2.0
    assert path.name in refusal
    reports = json.loads(tracks.attrs["damaged"]) if tracks is not None else []
    assert [type(w.message) for w in caught] == [DamagedRecordWarning] * bool(reports)
    assert mode == "report" or not reports
    return tracks, reports


@pytest.mark.parametrize("kind", WRITERS)
def test_mutations_are_refused_reported_or_read_right(kind, tmp_path):
    form, name, write = WRITERS[kind]
    data = write()
    path = tmp_path / name
    path.write_bytes(data)
    original = table(read_tracks(path))
    assert judge(original, {}, form, data, whole=True) is None or form not in NAIVE
    rng = np.random.default_rng(sum(kind.encode()))
    refused = 0
    for trial in range(MUTATIONS):
        mutated = mutate(data, form, rng)
        path.write_bytes(mutated)
        given = form if trial % 2 else None
        for mode in ("raise", "report"):
            tracks, reports = attempt(path, given, mode)
            if tracks is None:
                refused += 1
                continue
            problem = judge(table(tracks), original, form, mutated, whole=not reports)
            assert problem is None, f"{kind}, trial {trial}, {mode}: {problem}"
    assert refused > MUTATIONS / 10


def values_under_right_checksums(rng):
    """Return files whose checksums hold but whose values were damaged before they were written."""
    bad = [np.nan, np.inf, -1e30, 1e300, 1e5, 0.0][int(rng.integers(6))]
    columns = FILES.argoverse_columns()
    names = ["position_x", "position_y", "heading", "velocity_x", "velocity_y", "start_timestamp"]
    name, row = names[int(rng.integers(len(names)))], int(rng.integers(len(columns["city"])))
    columns[name][row] = bad
    payload = FILES.waymo_scenario()
    at = int(rng.integers(len(payload)))
    new = np.float32(rng.standard_normal()).tobytes() if rng.random() < 0.5 else rng.bytes(2)
    broken = payload[:at] + new + payload[at + len(new) :]
    return {"a.parquet": FILES.parquet(columns), "a.tfrecord": FILES.frame(broken)}


@pytest.mark.slow
def test_damage_from_before_the_checksum_never_leaks_another_exception(tmp_path):
    rng = np.random.default_rng(5)
    refused = dict.fromkeys(("a.parquet", "a.tfrecord"), 0)
    for _ in range(MUTATIONS):
        for name, data in values_under_right_checksums(rng).items():
            path = tmp_path / name
            path.write_bytes(data)
            for mode in ("raise", "report"):
                tracks, _ = attempt(path, None, mode)
                refused[name] += mode == "raise" and tracks is None
    assert refused["a.parquet"] > 0.6 * MUTATIONS
    assert refused["a.tfrecord"] > 0.2 * MUTATIONS
