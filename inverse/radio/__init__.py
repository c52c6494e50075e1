"""Inverse problems of radio interferometry: calibration, images and their uncertainty."""
