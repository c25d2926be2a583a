"""Finds names in texts, with a model of the task "token_classification": python examples/python/tag.py TARGET MODEL."""

import sys

from services.clients import InferenceClient, Options, Tagged, Windows

target, model = sys.argv[1:]
texts = [
    "Ada Lovelace left Paris for New York.",
    "王明在北京。🚀",
    "a long text, " * 100 + "and in its end Alan Turing",
]

with InferenceClient(target, timeout_s=5.0) as client:
    # windows: a text that is longer than the model reads is read in pieces, instead of being cut
    reply = client.tag(texts, model=model, options=Options(windows=Windows()))

for text, result in zip(texts, reply.results, strict=True):
    if isinstance(result, Tagged):
        names = [f"{each.label} {text[each.start : each.end]!r}" for each in result.entities]
        print(f"{', '.join(names)} ({result.window_count} windows)")
