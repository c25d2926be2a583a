"""Measurements of the running system: a server's throughput and latency against the limit of its own model."""
