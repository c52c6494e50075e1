"""The same systems through DeepXDE: its geometry, conditions, networks and optimisers, with a state that is whole."""
