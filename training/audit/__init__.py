"""The label audit: which rows of a data set have a label that is most likely wrong, and how to put them right.

Confident learning (Northcutt, Jiang, Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels"): models
that never saw a row say how probable its label is; rows where they are confident of another label are issues.
"""
