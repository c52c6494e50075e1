"""What every verb does first: find the case, freeze the settings, look for the device. No file is written before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrodict.cases.case import Case
from retrodict.cases.config import CaseConfig, read_settings, resolve
from retrodict.cases.registry import find
from retrodict.physics.errors import ConfigError, expected

__all__ = ["heading_of", "prepare", "require_device"]


def prepare(
    case: str | Case[Any],
    *,
    preset: str = "default",
    settings: Mapping[str, Any] | None = None,
    config: Path | None = None,
    seed: int | None = None,
    device: str | None = None,
) -> tuple[Case[Any], CaseConfig]:
    """Return the case and its frozen settings: preset < ``config`` file < ``settings`` < ``seed`` and ``device``.

    Raises
    ------
    ConfigError
        If the case, the preset or a setting is not valid, or the device is absent.

    Examples
    --------
    >>> import xarray as xr
    >>> case = Case("still", "examples", "Nothing moves.", CaseConfig, lambda config, seeds: xr.Dataset())
    >>> prepare(case, settings={"max_steps": 5}, seed=3)[1].seed
    3
    """
    found = find(case)
    layers: list[tuple[str, Mapping[str, Any]]] = []
    if config is not None:
        layers.append((str(config), read_settings(config, found.name)))
    layers.append(("--set", settings or {}))
    layers.append(("option", {k: v for k, v in (("seed", seed), ("device", device)) if v is not None}))
    frozen = resolve(found, preset, *layers)
    require_device(frozen.device)
    return found, frozen


def require_device(device: str) -> None:
    """Refuse a device that this machine does not have.

    Raises
    ------
    ConfigError
        If CUDA is asked for and absent.

    Examples
    --------
    >>> require_device("cpu")
    """
    if device == "cpu":
        return
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    number = int(device.partition(":")[2] or 0)
    if number >= count:
        raise ConfigError(expected("device", repr(device), f"cpu, or one of the {count} CUDA devices of this machine"))


def heading_of(case: Case[Any], verb: str, preset: str) -> dict[str, str]:
    """Return what names a run: case, system, summary, verb and preset.

    Examples
    --------
    >>> import xarray as xr
    >>> still = Case("still", "examples", "Nothing moves.", CaseConfig, lambda config, seeds: xr.Dataset())
    >>> heading_of(still, "run", "smoke")["verb"]
    'run'
    """
    return {"case": case.name, "system": case.system, "summary": case.summary, "verb": verb, "preset": preset}
