"""Classifies two texts with the generated stubs alone: python examples/python/classify.py [TARGET] [MODEL]."""

import sys

import grpc
from bertline.inference.v1 import inference_pb2, inference_pb2_grpc

target = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051"
model = sys.argv[2] if len(sys.argv) > 2 else "news"
texts = ["The central bank cut its key rate by a quarter point.", "球队在加时赛中逆转夺冠。"]

with grpc.insecure_channel(target) as channel:
    stub = inference_pb2_grpc.InferenceServiceStub(channel)
    request = inference_pb2.ClassifyRequest(
        model=inference_pb2.ModelSelector(name=model),
        inputs=[inference_pb2.TextInput(text=text) for text in texts],
        top_k=2,
    )
    reply = stub.Classify(request, timeout=5.0)

for text, result in zip(texts, reply.results, strict=True):
    if result.HasField("error"):
        print(f"{text}  ->  {result.error.message}")
    else:
        print(
            f"{text}  ->  " + ", ".join(f"{each.label} {each.probability:.3f}" for each in result.classification.labels)
        )
print(f"answered by {reply.model.name} version {reply.model.version} ({reply.model.variant})")
