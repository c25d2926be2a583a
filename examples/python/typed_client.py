"""The typed client: errors of single texts are values, errors of a call are exceptions.

python examples/python/typed_client.py [TARGET MODEL]
"""

import sys

from services.clients import Classified, InferenceClient, NotFound

target, model = sys.argv[1:] or ["127.0.0.1:50051", "news"]

with InferenceClient(target, timeout_s=5.0) as client:
    reply = client.classify(["The coach praised her team.", "央行下调利率。", ""], model=model)
    for result in reply.results:
        if isinstance(result, Classified):
            print(f"{result.best.name} {result.best.probability:.3f} ({result.token_count} tokens)")
        else:
            print(f"{result.details.reason}: {result.details.message}")
    try:
        client.classify(["hello"], model="no-such-model")
    except NotFound as error:
        print(f"{error.details.reason}: {error.details.message}")
print(f"server {reply.timings.total_ms:.1f} ms, correlation id {reply.correlation_id}")
