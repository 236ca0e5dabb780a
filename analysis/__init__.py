"""What happened in a run: probes, frames, statistics, plots and reports."""
