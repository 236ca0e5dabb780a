"""Between users and assistant: population, conversations, selection, monitoring."""
