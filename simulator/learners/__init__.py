"""What turns selected examples into the next adapter."""
