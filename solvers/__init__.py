"""Numerical methods that march, iterate or train: one driver, one solver shape."""
