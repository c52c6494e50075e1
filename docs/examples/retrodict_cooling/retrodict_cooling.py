"""Newton's law of cooling, T(t) = excess exp(-rate t): a case that another package brings to Retrodict."""

import numpy as np

from retrodict.cases.case import Case
from retrodict.cases.checks import Analytic, Check
from retrodict.cases.config import CaseConfig, setting
from retrodict.physics.model import Operator
from retrodict.physics.spaces import Space, Var

TIME = np.linspace(0.0, 120.0, 40)  # s


class Cooling(CaseConfig):
    excess: float = setting(60.0, "K", "initial excess over the room", gt=0)
    rate: float = setting(0.02, "s-1", "cooling rate", gt=0)
    noise: float = setting(0.5, "K", "standard deviation of the thermometer", of_data=True, gt=0)


class Body:
    domain = Space({"excess": Var(units="K"), "rate": Var(units="s-1", bounds=(0.0, 1.0))})
    range = Space({"temperature": Var(("time",), TIME.shape, units="K")})

    def apply(self, x):
        return {"temperature": x["excess"] * np.exp(-x["rate"] * TIME)}

    def linearize(self, x):
        rows = np.array([np.exp(-x["rate"] * TIME), -TIME * self.apply(x)["temperature"]])
        forward = lambda d: {"temperature": d["excess"] * rows[0] + d["rate"] * rows[1]}
        adjoint = lambda y: {"excess": rows[0] @ y["temperature"], "rate": rows[1] @ y["temperature"]}
        return self.apply(x), Operator(self.domain, self.range, forward, adjoint)


def simulate(config, seeds):  # by Runge-Kutta: data never come from the formula that the fit inverts
    from scipy.integrate import solve_ivp
    y = solve_ivp(lambda t, y: -config.rate * y, (0, 120), [config.excess], t_eval=TIME, rtol=1e-10, atol=1e-10).y[0]
    return Body.range.to_dataset({"temperature": y}).assign_coords(time=("time", TIME, {"units": "s"}))


def problem(config, seeds, data):
    from retrodict.cases.data import open_data
    from retrodict.inverse import noise, observation, problem, terms
    scatter = noise.Gaussian(config.noise)
    values = Body.range.from_dataset(open_data(data) if data else simulate(config, seeds))["temperature"]
    values = values if data else scatter.sample(values, seeds.stream("noise"))
    seen = observation.Observation(Body.range, {"temperature": values}, {"temperature": scatter})
    term = terms.Term("thermometer", terms.Misfit(Body(), seen))
    truth = None if data else {"excess": config.excess, "rate": config.rate}
    return problem.InverseProblem(Body.domain, [term], {"excess": 30.0, "rate": 0.05}, truth, "cooling")


def checks(config, seeds):
    law = Analytic(lambda: config.excess * np.exp(-config.rate * TIME), "Newton's law of cooling")
    return [Check("temperature", lambda: simulate(config, seeds)["temperature"], law, 1e-8, units="K")]


case = Case("cooling", "examples", "How fast a body cools in a room.", Cooling, simulate, {"smoke": {"noise": 0.2}},
            problem, checks=checks, models=lambda: {"body": (Body(), {"excess": 60.0, "rate": 0.02})}, origin="RK45")
