"""Panels of a run's figures."""
