"""Evaluating finished runs: chat, later probes, external tasks."""
