"""What everything else is written in: requests, answers, examples, errors, seeds, files."""
