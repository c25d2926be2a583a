import sys

import numpy as np
import tritonclient.grpc as triton

client = triton.InferenceServerClient(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")
model = sys.argv[2] if len(sys.argv) > 2 else "news"
texts = np.array(["Shares rallied after the rate cut.", "球队在加时赛中逆转夺冠。"], dtype=object)
text = triton.InferInput("text", [len(texts)], "BYTES")
text.set_data_from_numpy(texts)
result = client.infer(model, [text])
for label, row in zip(result.as_numpy("label"), result.as_numpy("probabilities"), strict=True):
    print(label.decode(), round(float(row.max()), 3))
