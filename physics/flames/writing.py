"""Mechanisms as YAML: selections of species, and fitted rates with their covariance beside them."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from retrodict.physics.decoding import decoding
from retrodict.physics.errors import DataError, expected
from retrodict.physics.sealed_text import check_seal, sealed
from retrodict.physics.spaces import Array

if TYPE_CHECKING:
    from retrodict.physics.flames.mechanism import Mechanism

__all__ = ["read_posterior", "restricted_gas", "write_mechanism"]

_KEY = "retrodict-posterior"
_RATES = ("ln_A", "b", "T_a", "ln_A_low", "b_low", "T_a_low")


def restricted_gas(text: str, names: Collection[str]) -> Any:
    """Return the phase of some species and of the reactions among them.

    Parameters
    ----------
    text : str
        A phase as YAML.
    names : collection of str
        Species to keep. Reactions whose only colliders are left out go too, as nothing can drive them.

    Returns
    -------
    cantera.Solution
        The phase.

    Examples
    --------
    >>> import cantera
    >>> restricted_gas(cantera.Solution("h2o2.yaml").write_yaml(), {"H2", "H", "AR"}).reaction_equations()
    ['2 H + M <=> H2 + M', '2 H + H2 <=> H2 + H2']
    """
    import cantera as ct

    gas, reactions = ct.Solution(yaml=text), []
    for reaction in gas.reactions():
        if not set(names).issuperset({*reaction.reactants, *reaction.products, *reaction.orders}):
            continue
        if (body := reaction.third_body) is not None:
            left = {name: value for name, value in body.efficiencies.items() if name in names}
            if body.default_efficiency == 0 and not any(left.values()):
                continue
            body.efficiencies = left
        reactions.append(reaction)
    species = [s for s in gas.species() if s.name in names]
    return ct.Solution(
        name=gas.name,
        thermo="ideal-gas",
        kinetics="gas",
        transport_model="mixture-averaged",
        species=species,
        reactions=reactions,
    )


def write_mechanism(
    mechanism: Mechanism,
    parameters: Mapping[str, Array | Tensor],
    path: str | Path,
    covariance: ArrayLike | None = None,
    names: Sequence[str] | None = None,
) -> None:
    """Write a mechanism with new rates as a YAML file that Cantera reads.

    Rates are kept to round-off. The covariance is kept under a key of its own, which Cantera ignores. The first line,
    a comment, is the checksum of all others. The file appears whole or not at all.

    Parameters
    ----------
    mechanism : Mechanism
        What was fitted.
    parameters : Mapping of str to array or Tensor
        New values by name; nominal ones where left out.
    path : str or Path
        The file.
    covariance : array, optional
        Of the parameters in ``names``, in that order.
    names : sequence of str, optional
        Labels as of ``mechanism.domain.labels()``, such as ``"ln_A[3]"``; their values are stored as the mean.

    Raises
    ------
    DataError
        If names or covariance are wrong, or a parameter that is none of a rate (A, b, E_a) changed and is not among
        ``names``: a file cannot hold it.
    SpaceError
        If parameters are not those of the mechanism.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> mech = load_mechanism("h2o2.yaml")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "fitted.yaml"
    ...     write_mechanism(mech, {"b": mech.parameters["b"] + 0.5}, file, [[0.04]], ["b[2]"])
    ...     print(load_mechanism(file).parameters["b"][2].round(9), read_posterior(file))
    3.2 (['b[2]'], array([3.2]), array([[0.04]]))
    """
    given = {k: np.asarray(v.detach() if isinstance(v, Tensor) else v) for k, v in parameters.items()}
    values = mechanism.domain.check({**mechanism.parameters, **given}, "parameters")
    stored = _posterior(mechanism, values, covariance, names)
    spoken_for = {name.split("[")[0] for name in names or ()} | set(_RATES)
    for name in sorted(set(values) - spoken_for):
        if not np.array_equal(values[name], mechanism.parameters[name]):
            wanted = f"nominal values: a mechanism file holds new values of {', '.join(_RATES)} only"
            raise DataError(expected(f"parameters[{name!r}]", "changed values", wanted))
    gas = mechanism.gas()
    _set_rates(gas, mechanism, values)
    text = gas.write_yaml(precision=17)
    _replace(Path(path), sealed(text if stored is None else f"{text}\n{_KEY}: {json.dumps(stored)}\n"))


def read_posterior(path: str | Path) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Return names, mean and covariance stored by `write_mechanism`.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    tuple
        Labels, mean (d,), covariance (d, d).

    Raises
    ------
    DataError
        If the file holds no posterior, or a damaged one.

    Examples
    --------
    >>> import pytest
    >>> with tempfile.TemporaryDirectory() as folder, pytest.raises(DataError, match="a line 'retrodict-posterior"):
    ...     _ = (Path(folder) / "a.yaml").write_text("phases: []")
    ...     read_posterior(Path(folder) / "a.yaml")
    """
    with decoding(path, "a mechanism"):
        text = Path(path).read_text(encoding="utf-8")
    check_seal(text, path)
    lines = text.splitlines()
    found = [line.removeprefix(f"{_KEY}:") for line in lines if line.startswith(f"{_KEY}:")]
    if len(found) != 1:
        raise DataError(expected(str(path), f"{len(found)} of them", f"a line '{_KEY}: ...'"))
    with decoding(f"{path}: {_KEY}", "names, mean and covariance"):
        content = json.loads(found[0])
        names = [str(name) for name in content["names"]]
        mean = np.array(content["mean"], float).reshape(len(names))
        covariance = np.array(content["covariance"], float).reshape(len(names), len(names))
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise DataError(expected(f"{path}: {_KEY}", "numbers that are not finite", "finite mean and covariance"))
    return names, mean, covariance


def _posterior(
    mechanism: Mechanism, values: Mapping[str, Array], covariance: ArrayLike | None, names: Sequence[str] | None
) -> dict[str, Any] | None:
    """Return what is stored, or None."""
    if covariance is None and names is None:
        return None
    if covariance is None or names is None:
        raise DataError(expected("covariance and names", "one of them", "both or none"))
    C, places = np.asarray(covariance, float), {label: i for i, label in enumerate(mechanism.domain.labels())}
    if strange := [name for name in names if name not in places] or len(set(names)) < len(names):
        raise DataError(expected("names", strange, "labels of the mechanism's parameters such as 'ln_A[0]', each once"))
    if C.shape != (len(names), len(names)) or not np.all(np.isfinite(C)) or not np.allclose(C, C.T):
        raise DataError(expected("covariance", f"shape {C.shape}", f"finite and symmetric, {len(names)} names a side"))
    packed = mechanism.domain.pack(values)
    return {"names": list(names), "mean": [float(packed[places[n]]) for n in names], "covariance": C.tolist()}


def _set_rates(gas: Any, mechanism: Mechanism, values: Mapping[str, Array]) -> None:
    """Give the reactions whose parameters changed their new rates."""
    old, tables = mechanism.parameters, mechanism.reactions
    row_of = {r: f for f, r in enumerate(tables.falloff.tolist())}
    for r, reaction in enumerate(gas.reactions()):
        f = row_of.get(r)
        places = [(name, r) for name in _RATES[:3]] + [(name, f) for name in _RATES[3:] if f is not None]
        if all(values[name][row] == old[name][row] for name, row in places):
            continue
        high = _arrhenius(float(tables.sign[r]), *(values[name][r] for name in _RATES[:3]))
        if f is not None:
            low = _arrhenius(float(tables.sign_low[f]), *(values[name][f] for name in _RATES[3:]))
            rate = type(reaction.rate)(low=low, high=high, falloff_coeffs=reaction.rate.falloff_coeffs)
        else:
            rate = high
        rate.allow_negative_pre_exponential_factor = reaction.rate.allow_negative_pre_exponential_factor
        reaction.rate = rate
        gas.modify_reaction(r, reaction)


def _arrhenius(sign: float, ln_A: float, b: float, T_a: float) -> Any:
    """Return Cantera's form of a rate."""
    import cantera as ct

    return ct.ArrheniusRate(sign * np.exp(ln_A), float(b), float(T_a) * ct.gas_constant)


def _replace(path: Path, text: str) -> None:
    """Write a file to a temporary name beside it, sync and rename."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
