"""A plan under load, before anything runs: continuous batching, event by event."""
