"""Varied copies of training rows, for small and unequal data."""
