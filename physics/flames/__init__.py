"""Properties of reacting gas mixtures: mechanisms, thermodynamics, kinetics and mixture-averaged transport."""
