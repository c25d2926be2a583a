"""The evaluation report of a run: what the model can do, where it fails, and how far the numbers can be trusted."""
