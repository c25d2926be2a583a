"""The commands of `python -m export`, one module each or one for those that belong together."""
