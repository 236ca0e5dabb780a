"""Worlds: items with a truth, how they are asked about, and how a statement is read."""
