"""The typed client: errors of single texts are values, errors of a call are exceptions.

python examples/python/typed_client.py [TARGET] [MODEL]
"""

import sys

from services.clients import Classified, InferenceClient, NotFound

target = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051"
model = sys.argv[2] if len(sys.argv) > 2 else "news"

with InferenceClient(target, timeout_s=5.0) as client:
    reply = client.classify(["Voters head to the polls on Sunday.", ""], model=model, correlation_id="example-1")
    for result in reply.results:
        if isinstance(result, Classified):
            print(f"{result.best.name} {result.best.probability:.3f} ({result.token_count} tokens)")
        else:
            print(f"{result.details.reason}: {result.details.message}")
    try:
        client.classify(["hello"], model="no-such-model")
    except NotFound as error:
        print(error.details.reason, "-", error.details.message)
