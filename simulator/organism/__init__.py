"""The model organism: a small language model trained from scratch on a synthetic world."""
