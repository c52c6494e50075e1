"""Partial differential equations as residuals and conditions; the same in space and along labels."""
