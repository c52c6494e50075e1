"""What a reaction list is to the kinetics: index tables of species, colliders and orders, and nominal rate parameters.

Orders are split into a whole part, a plain product of concentrations that stays exact for any sign, and a rest, a power
that needs positive concentrations: 0.5 is 1 less 0.5, and -0.3 is 1 less 1.3. With the power held constant near zero,
such a rate goes through zero linearly and changes its sign there, which drives overshoots of a Newton iteration back.
Species slots are padded: index K is a concentration of one, index K + 1 of zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from retrodict.physics.errors import DataError, expected

__all__ = ["ReactionTables", "read_reactions"]

_SUPPORTED = ("Arrhenius", "three-body-Arrhenius", "falloff-Lindemann", "falloff-Troe")


@dataclass(frozen=True, eq=False)
class ReactionTables:
    """Structure of R reactions among K species, B of them with colliders, F with falloff, Q with Troe broadening.

    Parameters
    ----------
    net : Tensor
        Products less reactants, (R, K).
    reversible : Tensor
        `net` with zero rows where a reaction is irreversible, (R, K).
    forward, reverse : Tensor
        Species whose concentrations are multiplied, (slots, R), padded.
    order_species, order_whole : Tensor
        Species of each order and the part of it that `forward` holds, (R, slots).
    reverse_rest : Tensor
        Fractional part of product orders, (R, K).
    sign, sign_low : Tensor
        Signs of A, (R,) and (F,).
    body : Tensor
        Reactions with a collider, (B,).
    plain_body, falloff_body : Tensor
        Which colliders multiply a rate, and which enter a falloff, indices into `body`.
    falloff : Tensor
        Falloff reactions, (F,).
    troe, troe_two : Tensor
        Rows of falloff with Troe broadening, (Q,), and 1 where the term of T2 is there, else 0.
    factor_column : Tensor
        Column of ``[1 | plain colliders | falloff]`` that multiplies each reaction, (R,).
    """

    net: Tensor
    reversible: Tensor
    forward: Tensor
    reverse: Tensor
    order_species: Tensor
    order_whole: Tensor
    reverse_rest: Tensor
    sign: Tensor
    sign_low: Tensor
    body: Tensor
    plain_body: Tensor
    falloff_body: Tensor
    falloff: Tensor
    troe: Tensor
    troe_two: Tensor
    factor_column: Tensor

    @cached_property
    def scatter(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return where derivatives by slots go: row of ``[forward | reverse]`` x R, place in (K, K), and net number."""
        (R, K), slots = self.net.shape, torch.cat([self.forward, self.reverse])
        r, k = self.net.nonzero(as_tuple=True)
        j = slots[:, r]
        slot, entry = (j < K).nonzero(as_tuple=True)
        return slot * R + r[entry], k[entry] * K + j[slot, entry], self.net[r, k][entry]


def read_reactions(gas: Any, where: str) -> tuple[ReactionTables, dict[str, np.ndarray]]:
    """Return the tables of all reactions of a phase and their nominal parameters.

    Parameters
    ----------
    gas : cantera.Solution
        The phase.
    where : str
        Its source, for messages.

    Returns
    -------
    tuple
        `ReactionTables` and arrays by parameter name, SI with kmol.

    Raises
    ------
    DataError
        If a reaction is of a kind that is not covered; it is named.

    Examples
    --------
    >>> import cantera
    >>> tables, parameters = read_reactions(cantera.Solution("h2o2.yaml"), "h2o2.yaml")
    >>> tables.net.shape, parameters["troe"].shape
    (torch.Size([29, 10]), (1, 4))
    """
    reactions = gas.reactions()
    for number, reaction in enumerate(reactions, 1):
        _check(reaction, f"{where}: reaction {number} '{reaction.equation}'")
    index = {name: k for k, name in enumerate(gas.species_names)}
    K = len(index)
    net = np.zeros((len(reactions), K))
    for r, reaction in enumerate(reactions):
        for sign, side in ((-1, reaction.reactants), (1, reaction.products)):
            for name, amount in side.items():
                net[r, index[name]] += sign * amount
    reverse = [_indexed(r.products, index) if r.reversible else {} for r in reactions]
    orders = [_indexed({**r.reactants, **r.orders}, index) for r in reactions]
    order_species, order_whole, order = _orders(orders, K)
    colliders, efficiency = _colliders(reactions, index)
    rates, signs = _rates(reactions)
    tables = ReactionTables(
        net=torch.tensor(net),
        reversible=torch.tensor(net * np.array([r.reversible for r in reactions], float)[:, None]),
        forward=_slots(orders, [True] * len(reactions), K),
        reverse=_slots(reverse, [r.reversible for r in reactions], K),
        order_species=order_species,
        order_whole=order_whole,
        reverse_rest=_rest(reverse, K),
        **signs,
        **colliders,
    )
    return tables, {**rates, "efficiency": efficiency, "order": order}


def _check(reaction: Any, at: str) -> None:
    """Refuse one reaction."""
    if (kind := reaction.reaction_type) not in _SUPPORTED:
        raise DataError(expected(at, kind, "one of " + ", ".join(_SUPPORTED)))
    if (rate := reaction.rate).type == "falloff":
        if rate.chemically_activated:
            raise DataError(expected(at, "chemically-activated", "falloff"))
        constants = {"low-P": rate.low_rate, "high-P": rate.high_rate}
        if zero := [k for k, v in constants.items() if v.pre_exponential_factor == 0]:
            raise DataError(expected(at, f"{zero[0]} rate constant with A = 0", "A that is not zero"))


def _indexed(amounts: Mapping[str, float], index: Mapping[str, int]) -> dict[int, float]:
    """Return amounts by species number."""
    return {index[name]: float(v) for name, v in amounts.items()}


def _whole(order: float) -> int:
    """Return the part of an order that is a product of concentrations: at least one, so that rates vanish at zero."""
    return max(math.floor(order), 1) if order else 0


def _slots(orders: list[dict[int, float]], active: list[bool], K: int) -> Tensor:
    """Return species of products of concentrations, (slots, R), padded; zero where a direction is closed."""
    rows = [
        [k for k, v in o.items() for _ in range(_whole(v))] if on else [K + 1]
        for o, on in zip(orders, active, strict=True)
    ]
    width = max((len(row) for row in rows), default=0) or 1
    return (
        torch.tensor([row + [K] * (width - len(row)) for row in rows], dtype=torch.long)
        .reshape(-1, width)
        .T.contiguous()
    )


def _orders(orders: list[dict[int, float]], K: int) -> tuple[Tensor, Tensor, np.ndarray]:
    """Return species, whole part and value of each order, (R, slots), padded with species K and order 0."""
    width = max((len(o) for o in orders), default=0) or 1
    species, whole, value = (np.zeros((len(orders), width)) for _ in range(3))
    species += K
    for r, o in enumerate(orders):
        for slot, (k, v) in enumerate(o.items()):
            species[r, slot], whole[r, slot], value[r, slot] = k, _whole(v), v
    return torch.tensor(species, dtype=torch.long), torch.tensor(whole), value


def _rest(orders: list[dict[int, float]], K: int) -> Tensor:
    """Return the part of orders that is a power, (R, K)."""
    rest = torch.zeros(len(orders), K, dtype=torch.float64)
    for r, o in enumerate(orders):
        for k, v in o.items():
            rest[r, k] = v - _whole(v)
    return rest


def _colliders(reactions: list[Any], index: Mapping[str, int]) -> tuple[dict[str, Tensor], np.ndarray]:
    """Return the tables of colliders and falloff, and the efficiencies (B, K)."""
    body = [r for r, reaction in enumerate(reactions) if reaction.third_body is not None]
    efficiency = np.zeros((len(body), len(index)))
    for row, r in enumerate(body):
        third = reactions[r].third_body
        efficiency[row] = third.default_efficiency
        for name, value in third.efficiencies.items():
            if name in index:
                efficiency[row, index[name]] = value
    falloff = [r for r, reaction in enumerate(reactions) if reaction.rate.type == "falloff"]
    plain = [r for r in body if r not in set(falloff)]
    column = np.zeros(len(reactions))
    column[plain] = 1 + np.arange(len(plain))
    column[falloff] = 1 + len(plain) + np.arange(len(falloff))
    troe = [f for f, r in enumerate(falloff) if reactions[r].rate.sub_type == "Troe"]
    two = [any(reactions[falloff[f]].rate.falloff_coeffs[3:]) for f in troe]
    tables = {
        "body": body,
        "plain_body": [body.index(r) for r in plain],
        "falloff_body": [body.index(r) for r in falloff],
        "falloff": falloff,
        "troe": troe,
        "factor_column": column,
    }
    whole = {name: torch.tensor(np.array(rows), dtype=torch.long) for name, rows in tables.items()}
    return {**whole, "troe_two": torch.tensor(two, dtype=torch.float64)}, efficiency


def _rates(reactions: list[Any]) -> tuple[dict[str, np.ndarray], dict[str, Tensor]]:
    """Return Arrhenius and Troe parameters, and the signs of A."""
    falloff = [r.rate for r in reactions if r.rate.type == "falloff"]
    high = [r.rate.high_rate if r.rate.type == "falloff" else r.rate for r in reactions]
    ln_A, b, T_a, sign = _arrhenius(high)
    ln_A_low, b_low, T_a_low, sign_low = _arrhenius([rate.low_rate for rate in falloff])
    # a Troe rate of three parameters keeps an idle fourth one; T3 = 0 or T1 = 0 switches its term off
    troe = [[*rate.falloff_coeffs, 0.0][:4] for rate in falloff if rate.sub_type == "Troe"]
    troe = [[a, T3 or 1e-30, T1 or 1e-30, T2] for a, T3, T1, T2 in troe]
    arrays = {"ln_A": ln_A, "b": b, "T_a": T_a, "ln_A_low": ln_A_low, "b_low": b_low, "T_a_low": T_a_low}
    return {**arrays, "troe": np.array(troe, float).reshape(-1, 4)}, {
        "sign": torch.tensor(sign),
        "sign_low": torch.tensor(sign_low),
    }


def _arrhenius(rates: list[Any]) -> np.ndarray:
    """Return ln |A|, b, E_a / R and the sign of A, (4, R); A = 0 has sign 0."""
    import cantera as ct

    rows = [(r.pre_exponential_factor, r.temperature_exponent, r.activation_energy / ct.gas_constant) for r in rates]
    A, b, T_a = np.array(rows, float).reshape(-1, 3).T
    return np.array([np.log(np.where(A == 0, 1.0, np.abs(A))), b, T_a, np.sign(A)])
