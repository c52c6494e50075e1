"""What a run depends on besides its settings: versions, commit, platform, processor, threads, command line."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from retrodict import __version__

__all__ = ["PACKAGES", "environment", "moved"]

PACKAGES = (
    "numpy",
    "scipy",
    "xarray",
    "netCDF4",
    "torch",
    "matplotlib",
    "pydantic",
    "cantera",
    "python-casacore",
    "deepxde",
)
"""Distributions whose versions a run records."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_BITS = ("processor", "threads")  # what decides in which order sums are taken


def environment() -> dict[str, Any]:
    """Return versions, git commit, platform, processor, threads and command line.

    Returns
    -------
    dict
        ``retrodict``, ``python``, ``platform``, ``processor`` (its model), ``threads`` (of torch, and what environment
        variables say), ``packages``, ``git`` (None outside a checkout), ``command``.

    Examples
    --------
    >>> environment()["packages"]["numpy"] == metadata.version("numpy")
    True
    """
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "retrodict": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "threads": _threads(),
        "packages": versions,
        "git": _commit(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def moved(begun: Mapping[str, Any]) -> list[str]:
    """Return a note if a run that goes on here does not compute with the threads and on the processor it began with.

    Parameters
    ----------
    begun : Mapping
        Its provenance.

    Examples
    --------
    >>> moved(environment())
    []
    >>> moved({**environment(), "processor": "Z80"})[0].startswith("begun with processor Z80, gone on with ")
    True
    """
    here = environment()
    changed = [key for key in _BITS if key in begun and begun[key] != here[key]]
    if not changed:
        return []
    before, now = (", ".join(f"{key} {_worded(of[key])}" for key in changed) for of in (begun, here))
    return [
        f"begun with {before}, gone on with {now}: sums are taken in another order, so that the result is not that of "
        "an unstopped run to the last bit, and a long training can end elsewhere"
    ]


def _worded(value: Any) -> str:
    return ", ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value)


def _threads() -> dict[str, int | str]:
    told = {name: os.environ[name] for name in _THREADS if name in os.environ}
    torch = sys.modules.get("torch")
    # torch, which is slow to import, takes the number from there
    count = torch.get_num_threads() if torch else min((int(v) for v in told.values() if v.isdigit()), default=1)
    return {"torch": count, **told}


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text(errors="replace").splitlines() if about.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _commit() -> str | None:
    """Return the commit of the checkout that this file is tracked in, with ``+`` where files have changed."""
    here = Path(__file__).resolve()

    def git(*words: str) -> str | None:
        command = ["git", "--no-optional-locks", "-C", str(here.parent), *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # A copy in site-packages may lie inside an unrelated checkout; only a tracked file tells of this one.
    if git("ls-files", "--error-unmatch", here.name) is None:
        return None
    commit = git("rev-parse", "HEAD")
    return f"{commit}+" if commit and git("status", "--porcelain", "--untracked-files=no") else commit
