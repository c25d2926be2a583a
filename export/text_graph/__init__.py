"""One ONNX file from texts to results: tokenizer, variant and what a server makes of its outputs. Needs no torch."""
