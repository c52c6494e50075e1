"""Linear systems by least squares over random features, window by window: no training."""
