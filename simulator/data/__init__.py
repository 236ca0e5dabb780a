"""Rows of users' data, in the usual formats."""
