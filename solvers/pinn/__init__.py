"""Networks as trial solutions of differential equations: jets, constraints, sampling, training, certificates."""
