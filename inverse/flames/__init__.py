"""Rates and transport of flames from measured burning velocities and profiles."""
