"""Entities in texts: how annotations say them, what of them a model's words can say, and how good a model finds them."""
