"""Probes: what is asked of the assistant after a round, and how it is scored."""
