"""Radio interferometry: arrays, visibilities, direction-dependent gains, images and the formats of the field."""
