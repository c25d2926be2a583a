"""The recipe that a tutorial gives, to be compared with: transformers' Trainer, all rows padded to 128 tokens, batches of 16.

Run as `python -m benchmarks.plain_recipe`, a process of its own, so that memory is its own, too.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import torch
import typer
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

LENGTH = 128
BATCH = 16


class PaddedRows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Rows as a tutorial tokenizes them: all at once, to one length."""

    def __init__(self, texts: list[str], targets: list[int], tokenizer: object, length: int) -> None:
        assert callable(tokenizer)
        self._encoded = tokenizer(texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        self._targets = torch.tensor(targets)

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        row = {name: values[index] for name, values in self._encoded.items()}
        return {**row, "labels": self._targets[index]}


def main(
    rows: Annotated[Path, typer.Option(help="JSON lines with text and label.")],
    encoder: Annotated[str, typer.Option(help="Folder or hub id.")],
    out: Annotated[Path, typer.Option(help="Where to write rows and seconds as JSON.")],
    threads: Annotated[int, typer.Option(help="CPU threads for torch.")],
) -> None:
    """Train for one epoch."""
    torch.set_num_threads(threads)
    with rows.open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    labels = sorted({line["label"] for line in lines})
    index = {label: position for position, label in enumerate(labels)}
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    model = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=len(labels))
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=1,
                per_device_train_batch_size=BATCH,
                use_cpu=not torch.cuda.is_available(),
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=PaddedRows(
                [line["text"] for line in lines],
                [index[line["label"]] for line in lines],
                tokenizer,
                min(LENGTH, model.config.max_position_embeddings),
            ),
        )
        seconds = trainer.train().metrics["train_runtime"]
    out.write_text(json.dumps({"rows": len(lines), "seconds": seconds}), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
