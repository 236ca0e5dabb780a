"""Finding models by name, and reading their folders."""
