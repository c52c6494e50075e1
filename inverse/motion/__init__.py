"""Inverse problems of motion: filtering and smoothing, inputs, noise levels, steering logs, calibration."""
