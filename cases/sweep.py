"""The verb ``sweep``: a case over a grid of settings, on the cores of this machine or on a dask cluster."""

from __future__ import annotations

import itertools
import os
import time
import tomllib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrodict.cases.case import Case
from retrodict.cases.config import config_hash, parse_assignments, read_settings
from retrodict.cases.fit import set_up
from retrodict.cases.members import Member, MemberTable, Row, carry_out, carry_out_apart, claimed, lost, tabulated
from retrodict.cases.prepare import prepare
from retrodict.cases.record import fingerprint
from retrodict.cases.toml import setting_text
from retrodict.physics.errors import ConfigError, expected, reason
from retrodict.solvers.files import write_text

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["parse_grid", "sweep"]


def parse_grid(axes: Sequence[str]) -> dict[str, list[Any]]:
    """Parse ``key=v1,v2`` as typed after ``--grid``.

    Raises
    ------
    ConfigError
        If there is no axis, an axis has no value, or a key repeats.

    Examples
    --------
    >>> parse_grid(["rate=0.1,0.2", "name=a,b"])
    {'rate': [0.1, 0.2], 'name': ['a', 'b']}
    """
    grid: dict[str, list[Any]] = {}
    for text in axes:
        key, equals, values = text.partition("=")
        key = key.strip()
        if not equals or not key or not values.strip():
            raise ConfigError(expected("--grid", repr(text), "key=value,value,..."))
        if key in grid:
            raise ConfigError(expected("--grid", f"{key!r} twice", "each key once"))
        try:
            grid[key] = list(tomllib.loads(f"x = [{values}]")["x"])
        except RecursionError as error:
            raise ConfigError(expected("--grid", repr(text), "values that are not nested as deeply")) from error
        except tomllib.TOMLDecodeError:
            grid[key] = [parse_assignments([f"x={v.strip()}"])["x"] for v in values.split(",")]
    if not grid:
        raise ConfigError(expected("--grid", "no axis", "at least one --grid key=value,value"))
    return grid


def sweep(
    case: str | Case[Any],
    grid: Mapping[str, Sequence[Any]],
    *,
    verb: str = "",
    data: Path | None = None,
    preset: str = "default",
    settings: Mapping[str, Any] | None = None,
    config: Path | None = None,
    out: Path | None = None,
    seed: int | None = None,
    device: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
) -> MemberTable:
    """Run a case at every point of a grid. Called again with the same folder it goes on where it stopped.

    Parameters
    ----------
    case : str or Case
        Name, or the case itself.
    grid : Mapping of str to sequence
        Dotted key to values.
    verb : str, optional
        ``run``, ``fit`` or ``validate``; by default ``fit`` where the case has an inverse problem.
    data, preset, settings, config, seed, device
        As in `retrodict.cases.fit.fit`, for every member.
    out : Path, optional
        Folder of the sweep: new, or that of an earlier sweep with the same grid and settings.
    workers : int, optional
        Processes of this machine, by default one a core; 1 runs in this process.
    scheduler : str, optional
        Address of a dask scheduler; its workers must see ``out``.

    Returns
    -------
    MemberTable
        One row a member; the same table is in ``sweep.csv``, ``sweep.nc`` and ``index.html``.

    Raises
    ------
    ConfigError
        If a point of the grid is not a valid setting (before any work), or the folder holds something else.
    """
    found, _ = prepare(case, preset=preset, settings=settings, config=config, seed=seed, device=device)
    verb = verb or ("fit" if found.problem is not None else "run")
    if verb not in found.verbs:
        raise ConfigError(expected("--verb", repr(verb), f"one of {', '.join(found.verbs)}"))
    if data is not None and verb != "fit":
        raise ConfigError(expected("--data", f"a file for the verb {verb!r}", "the verb 'fit', which alone reads data"))
    base = read_settings(config, found.name) if config is not None else {}
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    members, configs = [], []
    pending = out or Path("runs") / f"{found.name}-sweep-{time.strftime('%Y%m%d-%H%M%S')}"
    for number, point in enumerate(points):
        merged = _merged(base, settings or {}, point)
        _, frozen = prepare(found, preset=preset, settings=merged, seed=seed, device=device)
        configs.append(frozen)
        options: dict[str, Any] = {"preset": preset, "settings": merged, "seed": seed, "device": device}
        options |= {"data": data.absolute()} if data else {}
        name = case if isinstance(case, str) else found
        members.append(Member(f"{number:04d}", verb, name, pending.absolute() / f"{number:04d}", options, point))
    plan: dict[str, Any] = {"case": found.name, "verb": verb, "grid": dict(grid)}
    plan["members"] = [config_hash(c) for c in configs]
    if data is not None:
        set_up(found, configs[0], data)  # refused before any work, and before the folder is made
        plan["data"] = fingerprint(data)  # other data make another sweep
    work, write = partial(_execute, members, workers, scheduler), partial(_summarise, pending, found, grid)
    with claimed(pending, "sweep.json", plan):
        return tabulated(members, work, write)


def _merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested settings and dotted keys, the later winning."""
    total: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            *groups, leaf = key.split(".")
            table = total
            for group in groups:
                table = table.setdefault(group, {})
                if not isinstance(table, dict):
                    raise ConfigError(expected("--grid", repr(key), f"{group!r} to be a group, not a value"))
            nested = isinstance(value, Mapping)
            table[leaf] = _merged(table.get(leaf, {}), value) if nested else value
    return total


def _execute(members: Sequence[Member], workers: int | None, scheduler: str | None) -> list[Row]:
    if scheduler is not None:
        import distributed

        try:
            client: Any = distributed.Client(scheduler, timeout="10s")  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise ConfigError(expected("--scheduler", f"{scheduler!r} ({error})", "a dask scheduler")) from error
        with client:
            futures = client.map(carry_out, members, pure=False)
            distributed.wait(futures)  # type: ignore[no-untyped-call]
            return [
                f.result() if f.status == "finished" else lost(m, reason(f.exception()))
                for m, f in zip(members, futures, strict=True)
            ]
    count = min(workers or len(os.sched_getaffinity(0)), len(members))
    # Processes, not threads: NetCDF and signals belong to one thread, and a crash takes one member only.
    return [carry_out(m) for m in members] if count == 1 else carry_out_apart(members, count)


def _summarise(folder: Path, case: Case[Any], grid: Mapping[str, Sequence[Any]], rows: Sequence[Row]) -> MemberTable:
    from retrodict.cases.report import write_index
    from retrodict.solvers.result import save_dataset

    columns = list(dict.fromkeys(k for r in rows for k in r.cells))
    lines = [",".join(_csv(c) for c in ("member", *columns, "status", "assessment", "seconds", "message"))]
    for r in rows:
        values = (r.label, *(r.cells.get(c, "") for c in columns), r.status, r.assessment, r.seconds, r.message)
        lines.append(",".join(_csv(v) for v in values))
    write_text(folder / "sweep.csv", "\n".join(lines) + "\n")
    save_dataset(_dataset(columns, rows), folder / "sweep.nc")
    varied = ", ".join(f"{k} ({len(v)})" for k, v in grid.items())
    page = [
        {
            **vars(r),
            "cells": {k: v if k in r.found else setting_text(v) for k, v in r.cells.items()},
            "waits": r.waits,
            "link": f"{r.label}/report.html" if (folder / r.label / "report.html").exists() else "",
        }
        for r in rows
    ]
    index = write_index(folder / "index.html", f"Sweep: {case.name}", f"{case.summary} Varied: {varied}.", page)
    return MemberTable(folder, index, tuple(rows))


def _csv(value: Any) -> str:
    text = repr(value) if isinstance(value, float) else str(value)
    return '"' + text.replace('"', '""').replace("\n", " ") + '"' if any(c in text for c in ',"\n') else text


def _dataset(columns: Sequence[str], rows: Sequence[Row]) -> xr.Dataset:
    import numpy as np
    import xarray as xr

    data: dict[str, Any] = {}
    for name in columns:
        values = [r.cells.get(name) for r in rows]
        numeric = all(v is None or (isinstance(v, (int, float)) and not isinstance(v, bool)) for v in values)
        array = (
            np.array([np.nan if v is None else v for v in values], float)
            if numeric
            else np.array([str(v) for v in values], object)
        )
        data[name] = ("member", array)
    data["status"] = ("member", np.array([r.status for r in rows], object))
    data["assessment"] = ("member", np.array([r.assessment for r in rows], object))
    data["seconds"] = ("member", np.array([r.seconds for r in rows]), {"units": "s"})
    return xr.Dataset(data, {"member": [r.label for r in rows]})
