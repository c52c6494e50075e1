"""What a run depends on besides its settings: versions, commit, platform, command line."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from retrodict import __version__

__all__ = ["PACKAGES", "environment"]

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


def environment() -> dict[str, Any]:
    """Return versions, git commit, platform and command line.

    Returns
    -------
    dict
        ``retrodict``, ``python``, ``platform``, ``packages``, ``git`` (None outside a checkout), ``command``.

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
        "packages": versions,
        "git": _commit(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


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
