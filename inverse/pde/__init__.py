"""Coefficients and initial fields of partial differential equations, from samples at points."""
