"""Settings of a case: typed, frozen, with units; preset < TOML file < --set; unknown keys refused by name."""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo

from retrodict.physics.errors import ConfigError, expected, reason, refuse_unknown

if TYPE_CHECKING:
    from retrodict.cases.case import Case

__all__ = [
    "CaseConfig",
    "FileName",
    "HostConfig",
    "Settings",
    "config_hash",
    "describe",
    "parse_assignments",
    "parse_toml",
    "read_settings",
    "resolve",
    "setting",
]

C = TypeVar("C", bound="CaseConfig")

_TABLES = ("retrodict", "settings")
_HEADING = ("case", "system", "summary", "verb", "preset")


_LARGEST = 1e50
_LARGEST_WHOLE = 2**63 - 1


def _numbers(value: Any) -> Iterator[int | float]:
    """Yield the numbers in a value of a setting."""
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, int | float):
        yield value


class Settings(BaseModel):
    """Base of a group of settings: frozen, unknown keys refused, no silent conversion of types, NaN refused.

    So are magnitudes whose products and squares would leave the range of double precision: a setting that needs
    tighter limits declares them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)

    @field_validator("*")
    @classmethod
    def _magnitude(cls, value: Any) -> Any:
        for number in _numbers(value):
            if isinstance(number, int) and abs(number) > _LARGEST_WHOLE:
                raise ValueError(f"a whole number of at most {_LARGEST_WHOLE}")
            if isinstance(number, float) and number and not 1 / _LARGEST <= abs(number) <= _LARGEST:
                raise ValueError(f"0 or a magnitude from {1 / _LARGEST:g} to {_LARGEST:g}")
        return value


def setting(
    default: Any,
    units: str = "",
    help: str = "",  # noqa: A002 - the CLI's word
    *,
    of_data: bool = False,
    **limits: Any,
) -> Any:
    """Declare one setting.

    Parameters
    ----------
    default : object
        Its default.
    units : str, optional
        CF units, shown in reports.
    help : str, optional
        One phrase.
    of_data : bool, optional
        Whether it is a fact about the data, so that the default holds for the case's own: with ``--data`` it is asked
        for.
    **limits
        As in pydantic's ``Field``: ``gt``, ``ge``, ``lt``, ``le``, ``min_length`` ...

    Returns
    -------
    object
        The field.

    Examples
    --------
    >>> class Cooling(CaseConfig):
    ...     rate: float = setting(0.1, "s-1", "decay rate", gt=0)
    >>> Cooling().rate
    0.1
    """
    return Field(default, description=help, json_schema_extra={"units": units, "of_data": of_data}, **limits)


def _absolute(value: str) -> str:
    return str(Path(value).absolute()) if value else ""


FileName = Annotated[str, AfterValidator(_absolute)]
"""Type of a setting that names a file; empty for none. A run that is resumed elsewhere finds it, or says it changed."""


class CaseConfig(Settings):
    """Settings that every case has; a case adds its own in a subclass and may change these defaults.

    Examples
    --------
    >>> CaseConfig(seed=3).seed
    3
    """

    seed: int = setting(0, "", "root of all random streams", ge=0)
    device: str = setting("cpu", "", "where torch computes: cpu, cuda or cuda:N")
    max_steps: int = setting(200, "", "largest number of steps of a fit", ge=1, le=1_000_000_000)
    checkpoint_every: int = setting(1, "", "steps between two checkpoints", ge=1, le=1_000_000_000)

    def given(self, name: str) -> bool:
        """Whether the user set something; defaults and presets were made for the case's own data.

        Examples
        --------
        >>> CaseConfig(seed=0).given("seed"), CaseConfig().given("seed")
        (True, False)
        """
        return name in self.model_fields_set

    @classmethod
    def facts(cls) -> list[str]:
        """Return the settings that are facts about the data."""
        extras = {n: f.json_schema_extra for n, f in cls.model_fields.items()}
        return [n for n, e in extras.items() if isinstance(e, dict) and e.get("of_data")]

    def ask(self, data: Path | None, *names: str) -> None:
        """Refuse a user's data while a fact about them is known by the default of the case's own data alone.

        Parameters
        ----------
        data : Path or None
            The user's file; without one there is nothing to ask.
        *names : str
            Settings that state facts about the data.

        Raises
        ------
        ConfigError
            Naming every setting that is to be given, and what it means.

        Examples
        --------
        >>> CaseConfig().ask(Path("mine.csv"), "seed")
        Traceback (most recent call last):
        retrodict.physics.errors.ConfigError: mine.csv: got no value of seed (root of all random streams), expected each by --set KEY=VALUE or --config, for the defaults describe the case's own data
        """  # noqa: E501 - a message has one line
        fields = type(self).model_fields
        lacking = [f"{n} ({_meaning(fields[n])})" for n in names if not self.given(n)]
        if data is not None and lacking:
            wanted = "each by --set KEY=VALUE or --config, for the defaults describe the case's own data"
            raise ConfigError(expected(str(data), f"no value of {', '.join(lacking)}", wanted))

    def files(self) -> dict[str, Path]:
        """Return the files that a run reads beside the user's data: those that settings name, by setting."""
        named = [n for n, f in type(self).model_fields.items() if AfterValidator(_absolute) in f.metadata]
        return {n: Path(getattr(self, n)) for n in named if getattr(self, n)}

    @field_validator("device")
    @classmethod
    def _device(cls, value: str) -> str:
        kind, _, number = value.partition(":")
        if kind not in ("cpu", "cuda") or (number and not number.isdigit()) or value.endswith(":"):
            raise ValueError("one of cpu, cuda, cuda:N")
        return value


class HostConfig(CaseConfig):
    """Settings of a case that computes on the processor alone: another device is refused, not ignored.

    Examples
    --------
    >>> HostConfig(device="cpu").device
    'cpu'
    """

    device: str = setting("cpu", "", "where it computes: cpu")

    @field_validator("device")
    @classmethod
    def _host(cls, value: str) -> str:
        if value != "cpu":
            raise ValueError("cpu, for this case computes on the processor alone")
        return value


def parse_toml(text: str, where: str, wanted: str) -> dict[str, Any]:
    """Parse TOML that a user wrote.

    Raises
    ------
    ConfigError
        If it is not TOML, or nested too deeply.

    Examples
    --------
    >>> parse_toml("a = 1", "my.toml", "settings")
    {'a': 1}
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        got = f"text that is not TOML ({error if isinstance(error, ValueError) else reason(error)})"
        raise ConfigError(expected(where, got, wanted)) from error


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Parse ``key=value`` as typed after ``--set``; a value is TOML, or else text; a dot reaches into a group.

    Raises
    ------
    ConfigError
        If there is no ``=`` or no key.

    Examples
    --------
    >>> parse_assignments(["rate=0.1", "grid.n=[1, 2]", "name=gold"])
    {'rate': 0.1, 'grid': {'n': [1, 2]}, 'name': 'gold'}
    """
    settings: dict[str, Any] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ConfigError(expected("--set", repr(text), "key=value"))
        try:
            parsed = tomllib.loads(f"x = {value}")["x"]
        except tomllib.TOMLDecodeError:
            parsed = value
        except RecursionError as error:
            raise ConfigError(expected("--set", repr(text), "a value that is not nested as deeply")) from error
        *groups, leaf = key.strip().split(".")
        table = settings
        for group in groups:
            table = table.setdefault(group, {})
            if not isinstance(table, dict):
                raise ConfigError(expected("--set", repr(text), f"{group!r} to be a group, not a value"))
        if isinstance(table.get(leaf), dict):
            raise ConfigError(expected("--set", repr(text), f"values in the group {leaf!r}, which others are set in"))
        table[leaf] = parsed
    return settings


def read_settings(path: Path, case: str) -> dict[str, Any]:
    """Read settings from a TOML file: the case's keys, or the ``config.toml`` of an earlier run of the same case.

    Raises
    ------
    ConfigError
        If the file is missing, is not TOML, or belongs to another case.

    Examples
    --------
    >>> read_settings(Path("no.toml"), "cooling")
    Traceback (most recent call last):
    retrodict.physics.errors.ConfigError: no.toml: got no readable file, expected a TOML file of settings
    """
    wanted = "a TOML file of settings"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(expected(str(path), "no readable file", wanted)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(expected(str(path), f"text that is not TOML ({error})", wanted)) from error
    tables = parse_toml(text, str(path), wanted)
    heading = tables.get("retrodict")
    if not isinstance(heading, dict):
        return tables
    # A file with a heading holds its settings in a table of their own: what stands elsewhere would be lost in silence.
    wanted = "the tables [retrodict] and [settings], which holds all settings"
    refuse_unknown(tables, _TABLES, str(path), wanted, ConfigError)
    refuse_unknown(heading, _HEADING, f"{path} [retrodict]", f"one of {', '.join(_HEADING)}", ConfigError)
    if heading.get("case") != case:
        raise ConfigError(expected(str(path), f"settings of case {heading.get('case')!r}", f"settings of {case!r}"))
    settings = tables.get("settings")
    if not isinstance(settings, dict):
        raise ConfigError(
            expected(f"{path} [settings]", "no table", "a table, for the file has the heading [retrodict]")
        )
    return settings


def resolve(case: Case[C], preset: str, *layers: tuple[str, Mapping[str, Any]]) -> C:
    """Merge preset and layers, the later winning, into the frozen settings of a case.

    Parameters
    ----------
    case : Case
        Whose settings.
    preset : str
        Name of the preset, the lowest layer.
    *layers : tuple of str and Mapping
        Where the settings came from, for messages, and the settings.

    Raises
    ------
    ConfigError
        If a key is unknown or a value has the wrong type or range.

    Examples
    --------
    >>> from retrodict.cases.case import Case
    >>> import xarray as xr
    >>> case = Case("still", "examples", "Nothing moves.", CaseConfig, lambda config, seeds: xr.Dataset())
    >>> resolve(case, "smoke", ("--set", {"sed": 1}))
    Traceback (most recent call last):
    retrodict.physics.errors.ConfigError: --set sed: got an unknown key, expected a key of 'still'; did you mean 'seed'?
    """
    stack = [(f"preset {preset!r}", case.preset(preset)), *layers]
    merged: dict[str, Any] = {}
    try:
        for _, layer in stack:
            _merge(merged, layer)
        config = case.Config.model_validate_json(json.dumps(merged, default=_plain))
    except RecursionError as error:
        where = ", ".join(name for name, _ in stack)
        raise ConfigError(expected(where, "values that are nested too deeply", f"settings of {case.name!r}")) from error
    except ValidationError as error:
        raise ConfigError(_explain(error, case, stack)) from error
    # what the preset alone has set was not given by the user
    config.model_fields_set.intersection_update(k for _, layer in layers for k in layer)
    return config


def config_hash(config: CaseConfig) -> str:
    """Return the SHA-256 of all settings; equal settings have equal hashes whatever layer they came from.

    Examples
    --------
    >>> config_hash(CaseConfig()) == config_hash(CaseConfig(seed=0))
    True
    """
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def describe(config: Settings, prefix: str = "") -> list[dict[str, Any]]:
    """Return every setting with its value, units and help, groups flattened to dotted names.

    Examples
    --------
    >>> describe(CaseConfig())[0]
    {'name': 'seed', 'value': 0, 'units': '', 'help': 'root of all random streams'}
    """
    rows = []
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, Settings):
            rows += describe(value, f"{prefix}{name}.")
            continue
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        plain = config.model_dump(mode="json", include={name})[name]
        units, text = str(extra.get("units", "")), field.description or ""
        rows.append({"name": f"{prefix}{name}", "value": plain, "units": units, "help": text})
    return rows


def _meaning(field: FieldInfo) -> str:
    units = field.json_schema_extra.get("units") if isinstance(field.json_schema_extra, dict) else ""
    return f"{field.description}, in {units}" if units and units != "1" else str(field.description)


def _merge(base: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = _copy(value)


def _copy(value: Any) -> Any:
    return {k: _copy(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _explain(error: ValidationError, case: Case[Any], stack: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    lines = []
    for item in error.errors():
        path = [str(part) for part in item["loc"]]
        origin = next((name for name, layer in reversed(stack) if _holds(layer, path)), "settings")
        where = f"{origin} {'.'.join(path)}".rstrip()
        if item["type"] == "extra_forbidden":
            known = _names(case.Config, path[:-1])
            near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.0)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            lines.append(expected(where, "an unknown key", f"a key of {case.name!r}{hint}"))
        else:
            wanted = item["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            lines.append(expected(where, repr(item["input"]), wanted))
    return "\n".join(lines)


def _holds(layer: Mapping[str, Any], path: Sequence[str]) -> bool:
    here: Any = layer
    for part in path:
        if not isinstance(here, Mapping):
            return True
        if part not in here:
            return False
        here = here[part]
    return True


def _names(model: Any, path: Sequence[str]) -> list[str]:
    for part in path:
        model = model.model_fields[part].annotation
    return list(model.model_fields) if hasattr(model, "model_fields") else []
