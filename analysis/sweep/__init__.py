"""A sweep: frames, outcomes, tables, figures, report."""
