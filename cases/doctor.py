"""The verb ``doctor``: whether this installation can do what the suite promises."""

from __future__ import annotations

import importlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from retrodict.physics.errors import DataError, RetrodictError, expected
from retrodict.solvers.files import read_json, sha256

__all__ = ["Finding", "doctor", "verify_manifest"]

_OLDEST = (3, 11)
# Distributions whose import name is another one.
_IMPORTS = {
    "PyWavelets": "pywt",
    "dask": "dask.distributed",
    "google-crc32c": "google_crc32c",
    "python-casacore": "casacore.tables",
}


@dataclass(frozen=True)
class Finding:
    """One line of the examination.

    Parameters
    ----------
    what : str
        What was examined.
    ok : bool
        Whether it works.
    detail : str
        Version, number or error.
    """

    what: str
    ok: bool
    detail: str


def doctor() -> list[Finding]:
    """Examine Python, dependencies, torch, files, bundled data and plug-ins.

    Returns
    -------
    list of Finding
        Every line; the installation is sound if all are ok.
    """
    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", _python),
        *((name, lambda n=name: _dependency(n)) for name in _dependencies()),
        ("torch threads and devices", _torch),
        ("NetCDF written, damaged, detected", _netcdf),
        ("current folder can be written", _writable),
        ("bundled data", _bundled),
    ]
    found = [_examine(what, check) for what, check in checks]
    return [*found, *_plugins()]


def verify_manifest(folder: Path) -> int:
    """Verify the files that ``manifest.json`` of a folder lists: relative name to SHA-256.

    Parameters
    ----------
    folder : Path
        Where the data lie.

    Returns
    -------
    int
        How many files were verified; 0 if there is no manifest and no data.

    Raises
    ------
    DataError
        If a file is missing, changed or not listed.

    Examples
    --------
    >>> import tempfile
    >>> verify_manifest(Path(tempfile.mkdtemp()))
    0
    """
    skipped = {"manifest.json", "SOURCES.md"}
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name not in skipped}
    if not there and not (folder / "manifest.json").exists():
        return 0
    listed = read_json(folder / "manifest.json")
    if not isinstance(listed, dict) or set(listed) != there:
        odd = sorted(set(listed) ^ there) if isinstance(listed, dict) else "no mapping"
        raise DataError(expected(str(folder / "manifest.json"), f"{odd} on one side only", "every file of the folder"))
    for name, digest in listed.items():
        if sha256(folder / name) != digest:
            raise DataError(expected(str(folder / name), "a changed file", "the file of the manifest"))
    return len(listed)


def _examine(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, check())
    except RetrodictError as error:
        return Finding(what, False, str(error))
    except Exception as error:  # noqa: BLE001 - a broken dependency may raise anything, and that is the finding
        return Finding(what, False, f"{type(error).__name__}: {error}")


def _python() -> str:
    if sys.version_info < _OLDEST:
        raise RuntimeError(expected("python", sys.version.split()[0], "3.11 or newer"))
    return sys.version.split()[0]


def _dependencies() -> list[str]:
    """Return the distributions that the installed package, or else the checkout's pyproject.toml, declares."""
    try:
        declared = metadata.requires("retrodict") or []
    except metadata.PackageNotFoundError:
        import tomllib

        project = Path(__file__).resolve().parent.parent / "pyproject.toml"
        declared = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    return sorted({re.split(r"[\[<>=!~; ]", d)[0] for d in declared if "extra ==" not in d}, key=str.lower)


def _dependency(name: str) -> str:
    import warnings

    os.environ.setdefault("DDE_BACKEND", "pytorch")
    silence = io.StringIO()  # some announce themselves on import
    with warnings.catch_warnings(), redirect_stdout(silence), redirect_stderr(silence):
        warnings.simplefilter("ignore")  # a dependency's own deprecations say nothing of this installation
        importlib.import_module(_IMPORTS.get(name, name))
    return metadata.version(name)


def _torch() -> str:
    import torch

    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    total = float(torch.ones(8, dtype=torch.float64).sum())
    if total != 8.0:
        raise RuntimeError(expected("sum of eight ones", total, 8.0))
    return f"{torch.get_num_threads()} threads, {', '.join(devices) or 'no CUDA device'}"


def _netcdf() -> str:
    import numpy as np
    import xarray as xr

    from retrodict.solvers.result import load_dataset, save_dataset

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.nc"
        values = np.linspace(0.0, 1.0, 101)
        save_dataset(xr.Dataset({"x": ("i", values)}), path)
        if not np.array_equal(load_dataset(path)["x"].values, values):
            raise RuntimeError("numbers did not survive the round trip")
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 1
        path.write_bytes(bytes(raw))
        try:
            load_dataset(path)
        except DataError:
            return "bit-equal; a flipped bit is detected"
    raise RuntimeError("a flipped bit was not detected")


def _writable() -> str:
    with tempfile.NamedTemporaryFile(dir=Path.cwd()):
        return "yes"


def _bundled() -> str:
    return f"{verify_manifest(Path(__file__).parent / 'reference_data')} files match their checksums"


def _plugins() -> Iterator[Finding]:
    from retrodict.cases.registry import entries

    for entry in entries():
        if entry.origin != "retrodict":
            detail = entry.error or f"{entry.origin}: {entry.target}"
            yield Finding(f"plug-in {entry.name}", not entry.error, detail)
