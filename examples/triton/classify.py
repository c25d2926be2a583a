import sys

import numpy as np
import tritonclient.grpc as triton

target, model = sys.argv[1:] or ["127.0.0.1:50051", "news"]
texts = np.array(["Shares rallied after the rate cut.", "球队在加时赛中逆转夺冠。"], dtype=object)
text = triton.InferInput("text", [len(texts)], "BYTES")
text.set_data_from_numpy(texts)
answer = triton.InferenceServerClient(target).infer(model, [text])
for label, row in zip(answer.as_numpy("label"), answer.as_numpy("probabilities"), strict=True):
    print(label.decode(), round(float(row.max()), 3))
