"""Reading runs: frames, statistics, plots and reports."""
