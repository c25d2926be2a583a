"""Distillation: a student learns to answer as its teachers do, finished runs of the same task and labels."""
