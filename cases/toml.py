"""Settings written as TOML (the standard library reads TOML and does not write it)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from retrodict.physics.errors import ConfigError, expected

__all__ = ["setting_text", "to_toml"]


def to_toml(tables: Mapping[str, Any], prefix: str = "") -> str:
    """Write nested tables as TOML; ``None`` is left out, for TOML has no word for it.

    Parameters
    ----------
    tables : Mapping
        Text, numbers, booleans, lists of them, and mappings.
    prefix : str, optional
        Name of the table that these belong to.

    Returns
    -------
    str
        TOML that `tomllib` reads back to equal values.

    Raises
    ------
    ConfigError
        If a value has no form in TOML.

    Examples
    --------
    >>> print(to_toml({"a": 1.0, "b": {"c": ["x", "y"]}}), end="")
    a = 1.0
    <BLANKLINE>
    [b]
    c = ["x", "y"]
    """
    lines = [f"{_key(k)} = {_value(v, k)}\n" for k, v in tables.items() if v is not None and not isinstance(v, Mapping)]
    for key, value in tables.items():
        if isinstance(value, Mapping):
            name = f"{prefix}{_key(key)}"
            lines.append(f"\n[{name}]\n" + to_toml(value, f"{name}."))
    return "".join(lines)


def setting_text(value: Any) -> str:
    """Return the value of a setting as ``--set`` and a settings file take it, to the last digit; a dash for none.

    Examples
    --------
    >>> setting_text(101325.0), setting_text("gold"), setting_text([1, 2.5]), setting_text(None)
    ('101325.0', '"gold"', '[1, 2.5]', '–')
    """
    plain = value.tolist() if hasattr(value, "tolist") else str(value) if isinstance(value, PurePath) else value
    return "–" if plain is None else _value(plain, "setting")


def _key(name: str) -> str:
    bare = name.replace("-", "").replace("_", "")
    return name if bare.isalnum() and bare.isascii() else _quote(name)


def _quote(text: str) -> str:
    # JSON escapes are TOML escapes, but for the one control character that JSON lets pass.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any, where: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(v, where) for v in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_value(v, where)}" for k, v in value.items() if v is not None) + "}"
    raise ConfigError(expected(where, f"{type(value).__name__} {value!r}", "text, a number, a list or a table"))
