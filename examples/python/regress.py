"""Which number does each text have? A model of the task "regression": python examples/python/regress.py TARGET MODEL."""

import sys

from services.clients import InferenceClient, Regressed

target, model = sys.argv[1:] or ["127.0.0.1:50051", "stars"]
texts = ["A film to see twice.", "We left before the end.", "这部电影很好看。", ""]

with InferenceClient(target, timeout_s=5.0) as client:
    for text, result in zip(texts, client.regress(texts, model=model).results, strict=True):
        # in the units of the training data; a text that fails alone, such as the empty one, does not fail the others
        print(
            f"{result.value:8.3f}  {text}" if isinstance(result, Regressed) else f"   error  {result.details.message}"
        )
