"""Starts the server on a fresh model, shows it answering, and keeps serving."""
