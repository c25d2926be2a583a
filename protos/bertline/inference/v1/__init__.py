"""Contracts of Bertline and their generated stubs."""
