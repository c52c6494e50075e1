"""Derivatives of every formulation, and single precision over long horizons far from the origin."""

import pytest
import torch

from retrodict.physics.motion.forecast import forecast
from retrodict.physics.motion.inputs import Autoregressive, Constant, Dense, Inputs, White
from retrodict.physics.motion.moments import FORMULATIONS, MODES, propagate
from retrodict.physics.motion.state import Start

STEPS = 4


def values(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def leaves(law):
    generator = torch.Generator().manual_seed(3)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    root = 0.3 * normal(4, 4)
    start = values(1.0, -2.0, 0.4, 6.0)
    mean = normal(STEPS, 2) * values(0.5, 0.1)
    spread = {
        "white": 0.1 + normal(STEPS, 2).abs() * values(0.5, 0.1),
        "autoregressive": values(0.5, 0.1, 0.4, 1.5),
        "constant": values(0.5, 0.1, 0.3),
        "dense": 0.2 * normal(2 * STEPS, 2 * STEPS),
    }[law]
    return tuple(x.requires_grad_() for x in (start, root, mean, spread))


def law_of(name, spread):
    if name == "white":
        return White(spread)
    if name == "autoregressive":
        return Autoregressive(spread[:2], spread[2:], known_start=True)
    if name == "constant":
        return Constant(spread[:2], spread[2])
    full = spread @ spread.T
    return Dense(full.reshape(2, STEPS, 2, STEPS).permute(0, 2, 1, 3))


COMBINATIONS = [(f, m, "white") for f in FORMULATIONS for m in MODES] + [
    (f, m, law)
    for f in ("acceleration", "speed-heading", "acceleration-yaw-rate")
    for m in ("exact", "linear")
    for law in ("autoregressive", "constant", "dense")
]


def check(formulation, mode, law, integrator="midpoint", lever=0.0):
    def moments(start, root, mean, spread):
        out = propagate(
            formulation, Start(start, root @ root.T), Inputs(mean, law_of(law, spread)), 0.3,
            mode=mode, integrator=integrator, lever=lever, wheelbase=2.5,
        )  # fmt: skip
        return out.displacement, out.covariance

    assert torch.autograd.gradcheck(moments, leaves(law), atol=1e-7, rtol=1e-6, fast_mode=True)


@pytest.mark.parametrize(("formulation", "mode", "law"), COMBINATIONS)
def test_gradients_match_central_differences(formulation, mode, law):
    check(formulation, mode, law)


@pytest.mark.parametrize("mode", ["exact", "linear"])
@pytest.mark.parametrize("law", ["white", "autoregressive"])
@pytest.mark.parametrize("integrator", ["euler", "hold"])
def test_gradients_with_a_lever_and_every_integrator(integrator, law, mode):
    check("acceleration-yaw-rate", mode, law, integrator, lever=1.4)
    if law == "white":
        check("acceleration-curvature", mode, law, integrator, lever=1.4)


def test_gradients_of_the_forecast():
    generator = torch.Generator().manual_seed(5)
    root = (0.3 * torch.randn((6, 6), generator=generator, dtype=torch.float64)).requires_grad_()
    state = values(0, 0, 0.4, 6, 0.5, 0.1).requires_grad_()
    std, tau = values(0.8, 0.1).requires_grad_(), values(1.0, 2.0).requires_grad_()

    def moments(state, root, std, tau):
        out = forecast(state, root @ root.T, std, tau, STEPS, 0.3, lever=1.0)
        return out.displacement, out.covariance

    assert torch.autograd.gradcheck(moments, (state, root, std, tau), atol=1e-7, rtol=1e-6, fast_mode=True)


def test_the_whole_jacobian_of_the_exact_moments_at_one_point():
    # not a projection: every entry against central differences
    def moments(mean, std):
        out = propagate("acceleration-yaw-rate", Start(values(0, 0, 0.3, 8)), Inputs(mean, White(std)), 0.1)
        return torch.cat([out.displacement.flatten(), out.covariance.flatten()])

    mean = values(0.5, 0.2).expand(6, 2).clone()
    std = values(1.0, 0.3).expand(6, 2).clone()
    ours = torch.autograd.functional.jacobian(moments, (mean, std))
    for which, jacobian in enumerate(ours):
        for entry in range(12):
            shift = torch.zeros(12, dtype=torch.float64)
            shift[entry] = 1e-5
            shift = shift.reshape(6, 2)
            pair = [[mean, std], [mean, std]]
            pair[0][which], pair[1][which] = pair[0][which] + shift, pair[1][which] - shift
            central = (moments(*pair[0]) - moments(*pair[1])) / 2e-5
            torch.testing.assert_close(jacobian.reshape(30 + 6, 12)[:, entry], central, rtol=1e-7, atol=1e-8)


def single(x):
    return x.to(torch.float32)


@pytest.mark.parametrize(
    ("spread", "steps"), [((1.0, 0.1), 800), ((1.0, 0.5), 800), ((0.3, 0.02), 800), ((2.0, 1.0), 80)]
)
@pytest.mark.parametrize("integrator", ["euler", "hold"])
def test_single_precision_a_thousand_kilometres_away(integrator, spread, steps):
    # exactly representable in both precisions, so that only the arithmetic differs
    start = values(1e6, -1e6, 0.25, 10.0)
    mean, std = values(0.0, 0.0625).expand(steps, 2), values(*spread).to(torch.float32).double().expand(steps, 2)
    dt = torch.tensor(0.125)
    double = propagate("acceleration-yaw-rate", Start(start), Inputs(mean, White(std)), dt, integrator=integrator)
    half = propagate(
        "acceleration-yaw-rate", Start(single(start)), Inputs(single(mean), White(single(std))), dt,
        integrator=integrator,
    )  # fmt: skip
    assert half.covariance.dtype == torch.float32
    first = 1 if integrator == "euler" else 0  # a certain start makes a certain first Euler step
    for axis in (0, 1):
        reference = double.covariance[first:, axis, axis]
        error = (half.covariance[first:, axis, axis].double() - reference).abs() / reference
        assert error.max().item() < 1e-5
    assert (half.displacement.double() - double.displacement).norm(dim=-1).max().item() < 1e-2


@pytest.mark.parametrize("law", ["autoregressive", "constant"])
def test_single_precision_with_memory(law):
    start, mean = values(1e6, -1e6, 0.25, 10.0), values(0.0, 0.0625).expand(80, 2)
    spread = values(0.5, 0.0625, 2.0, 1.0) if law == "autoregressive" else values(0.5, 0.0625, 0.25)

    def at(kind):
        inputs = Inputs(kind(mean), law_of(law, kind(spread)))
        return propagate("acceleration-yaw-rate", Start(kind(start)), inputs, 0.125)

    double, half = at(lambda x: x), at(single)
    variances = double.covariance.diagonal(dim1=-2, dim2=-1)
    error = (half.covariance.diagonal(dim1=-2, dim2=-1).double() - variances).abs() / variances
    assert error.max().item() < 1e-5


def test_an_absurd_spread_stays_finite_in_single_precision():
    inputs = Inputs(torch.zeros(80, 2), White(torch.tensor([1.0, 30.0]).expand(80, 2)))
    moments = propagate("acceleration-yaw-rate", Start(torch.tensor([0.0, 0, 0, 10])), inputs, 0.1)
    assert bool(moments.covariance.isfinite().all())
    assert bool((torch.linalg.eigvalsh(moments.covariance) >= 0).all())
