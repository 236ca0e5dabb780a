"""The parts of a round: session, update, canary, measurement, tables."""
