"""Probes: questions to the assistant after a round, and their scores."""
