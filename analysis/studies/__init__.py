"""Judging and reporting studies: claims, findings, verdicts."""
