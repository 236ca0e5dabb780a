"""Learners: they turn selected examples into the next adapter."""
