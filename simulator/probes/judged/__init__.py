"""Probes whose replies a model judges."""
