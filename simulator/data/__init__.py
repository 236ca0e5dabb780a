"""Rows of given data, in the formats that people have them in."""
