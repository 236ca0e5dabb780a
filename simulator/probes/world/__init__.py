"""Probes that ask about a world."""
