"""What each task makes of texts: how they are read, and what the model's outputs mean."""
