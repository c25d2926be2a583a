"""Hyperparameter search over the fine-tuning of `training`; the only place that knows Optuna."""
