"""Flames solved on adaptive grids by Newton's method, and their derivatives by the implicit function theorem."""
