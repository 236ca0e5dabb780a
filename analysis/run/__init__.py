"""One run: frames, tables, figures, report."""
