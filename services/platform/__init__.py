"""What every server shares: failures, correlation, logs, health, metrics, drain."""
