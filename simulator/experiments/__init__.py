"""Many runs: starting, resuming, sweeping."""
