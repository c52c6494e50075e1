"""Inverse problems: noise, observations, priors, terms, estimators, posteriors."""
