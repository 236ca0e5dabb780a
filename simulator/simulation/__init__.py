"""What happens between users and the assistant: conversations, selection, monitoring."""
