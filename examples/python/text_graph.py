"""Answers without a server and without a tokenizer: python examples/python/text_graph.py FILE.onnx TEXT...

The file comes from `python -m export text-graph`; it needs the packages onnxruntime and numpy, nothing else.
"""

import json
import sys

import numpy as np
import onnxruntime

file, *texts = sys.argv[1:]
session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
labels = json.loads(session.get_modelmeta().custom_metadata_map["labels"])
names = [output.name for output in session.get_outputs()]
results = dict(zip(names, session.run(names, {"text": np.array(texts, dtype=object)}), strict=True))
for row, text in enumerate(texts):
    if "label" in results:
        best = results["label"][row]
        print(f"{labels[best]}  {results['probabilities'][row][best]:.3f}  {text}")
    else:
        print({name: np.round(values[row], 3).tolist() for name, values in results.items()}, text)
