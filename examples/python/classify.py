"""Classifies two texts with the generated stubs alone: python examples/python/classify.py [TARGET MODEL]."""

import sys

import grpc
from bertline.inference.v1 import inference_pb2, inference_pb2_grpc

target, model = sys.argv[1:] or ["127.0.0.1:50051", "news"]
texts = ["The central bank cut its key rate by a quarter point.", "球队在加时赛中逆转夺冠。"]
request = inference_pb2.ClassifyRequest(
    model=inference_pb2.ModelSelector(name=model),
    inputs=[inference_pb2.TextInput(text=text) for text in texts],
    top_k=2,
)

with grpc.insecure_channel(target) as channel:
    reply = inference_pb2_grpc.InferenceServiceStub(channel).Classify(request, timeout=5.0)

for text, result in zip(texts, reply.results, strict=True):
    if result.HasField("error"):  # one bad text does not fail its neighbours
        print(f"{text}  ->  {result.error.message}")
    else:
        labels = [f"{each.label} {each.probability:.3f}" for each in result.classification.labels]
        print(f"{text}  ->  {', '.join(labels)}")
print(f"answered by {reply.model.name} version {reply.model.version} ({reply.model.variant})")
