"""Probes of the model's internals, by reading or by interventions."""
