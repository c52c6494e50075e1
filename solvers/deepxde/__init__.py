"""The same systems through DeepXDE: its geometry, conditions, networks and optimisers; our state, so that nothing is lost."""
