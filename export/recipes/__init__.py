"""Recipes: how the variants of a graph are made."""
