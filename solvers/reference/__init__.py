"""Reference solvers: slow, independent, trusted. One file a peer."""
