"""Starting and resuming runs and sweeps."""
