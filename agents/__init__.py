"""Who talks with the assistant, and who judges what they hear."""
