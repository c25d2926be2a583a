"""Ranks candidates against a query: python examples/python/score.py [TARGET MODEL].

The model may be a cross-encoder (task "pair_scoring") or an encoder (task "embedding").
"""

import sys

from services.clients import InferenceClient, Scored

target, model = sys.argv[1:] or ["127.0.0.1:50051", "minilm"]
query = "Which bank cut its rate?"
candidates = ["The coach praised her team.", "The bank cut its rate by a quarter point.", ""]

with InferenceClient(target, timeout_s=5.0) as client:
    for result in client.score(query, candidates, model=model).results:  # best first
        if isinstance(result, Scored):
            print(f"{result.score:+.3f}  {candidates[result.index]}")
        else:
            print(f"candidate {result.index}: {result.details.message}")
