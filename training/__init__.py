"""Offline half of Bertline: from a file of labelled text to a fine-tuned, evaluated checkpoint."""
