"""The inference service: texts in, calibrated labels out, on ONNX Runtime."""
