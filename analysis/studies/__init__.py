"""A study: claims, findings, verdicts, report."""
