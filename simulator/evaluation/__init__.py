"""Asking a finished run again."""
