"""Labels every line of standard input, however many: python examples/python/classify_many.py [TARGET MODEL] < FILE.

One stream carries them all. Lines are read as the server keeps up, so memory stays small.
"""

import sys

from services.clients import Classified, InferenceClient, Options

target, model = sys.argv[1:] or ["127.0.0.1:50051", "news"]
lines = (line.rstrip("\n") for line in sys.stdin)

with InferenceClient(target) as client:
    # low priority: bulk work waits behind callers that somebody watches
    for result in client.classify_stream(lines, model=model, options=Options(priority="low")):
        print(result.best.name if isinstance(result, Classified) else f"error: {result.details.reason}")
