"""Engines that answer requests: one protocol, several implementations."""
