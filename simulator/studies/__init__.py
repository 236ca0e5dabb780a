"""A paper's sweep with its findings: planned and run."""
