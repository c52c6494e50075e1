"""Calibration and imaging methods of radio interferometry."""
