"""Which words made the label? python examples/python/explain.py [TARGET MODEL]."""

import sys

from services.clients import InferenceClient

target, model = sys.argv[1:] or ["127.0.0.1:50051", "news"]

with InferenceClient(target, timeout_s=5.0) as client:
    reply = client.explain("The coach of the bank saw a goal in the match.", model=model)

print(f"{reply.label} {reply.probability:.3f}, explained by {reply.evaluation_count} readings of the text")
for word in reply.words:
    print(f"{word.probability:+.3f} {'#' * round(20 * abs(word.probability)):20} {word.text}")
