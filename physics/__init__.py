"""Forward models: equations, properties and operators. No training, no plots."""
