"""Texts that belong to none of the classes: how far out a text lies, from where on it is refused, and how well that works."""
