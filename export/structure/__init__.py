"""Candidates that change the network rather than its numbers: pruned, shorter, distilled, with a smaller vocabulary."""
