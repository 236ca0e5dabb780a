"""Models by name and GGUF files: fetched, converted for transformers, and kept in a cache."""
