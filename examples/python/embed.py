"""Which texts mean the same? Vectors from a model of the task "embedding": python examples/python/embed.py [TARGET MODEL]."""

import sys

from services.clients import Embedded, InferenceClient

target, model = sys.argv[1:] or ["127.0.0.1:50051", "minilm"]
texts = ["The bank cut its rate.", "Profit and shares of the market rose.", "球队赢了比赛。"]

with InferenceClient(target, timeout_s=5.0) as client:
    results = client.embed(texts, model=model).results

vectors = [result.vector for result in results if isinstance(result, Embedded)]
for text, vector in zip(texts[1:], vectors[1:], strict=True):
    # vectors have length 1, so their product is the cosine of their angle
    print(f"{sum(a * b for a, b in zip(vectors[0], vector, strict=True)):+.3f}  {text}")
