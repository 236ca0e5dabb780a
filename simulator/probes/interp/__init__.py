"""Probes that look inside the model, or change it."""
