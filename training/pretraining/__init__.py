"""Pretraining by masked language modelling (Devlin et al. 2019) on texts without labels: an encoder for `fit` to start from."""
