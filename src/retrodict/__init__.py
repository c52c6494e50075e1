"""Retrodict: simulate the physics, infer the causes, check both against a reference solver.

The four rooms are `retrodict.physics` (forward models), `retrodict.solvers` (numerical methods),
`retrodict.inverse` (inverse problems) and `retrodict.cases` (runnable case studies and the command line).
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
