"""Files on disk: run directories and sweeps."""
