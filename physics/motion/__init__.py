"""Stochastic kinematic motion: moments of trajectories, mixtures, scores and track readers."""
