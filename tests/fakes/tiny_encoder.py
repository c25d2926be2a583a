"""A real BERT of a few thousand weights, with a WordPiece tokenizer that knows some English and Chinese."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model, PreTrainedTokenizerFast

WORDS = [
    *(
        "goal",
        "match",
        "team",
        "coach",
        "season",
        "bank",
        "rate",
        "market",
        "profit",
        "share",
        "chip",
        "phone",
        "robot",
        "code",
    ),
    *(
        "the",
        "a",
        "of",
        "in",
        "and",
        "won",
        "fell",
        "rose",
        "new",
        "old",
        "good",
        "bad",
        "today",
        "again",
        "##s",
        "##ed",
    ),
]
CHARACTERS = list("球队比赛银行股市芯片手机的了在新")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write_tiny_encoder(folder: Path, seed: int = 0, words: Sequence[str] = ()) -> Path:
    """Writes config, weights and tokenizer, as save_pretrained does; `words` are known besides the usual ones.

    From now on torch has one thread here: on matrices as small as these several only wait for one another, for minutes where
    the machine is busy.
    """
    torch.set_num_threads(1)
    known = dict.fromkeys([*SPECIAL, *WORDS, *CHARACTERS, *"abcdefghijklmnopqrstuvwxyz", *words])
    vocabulary = {word: number for number, word in enumerate(known)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    named = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **named).save_pretrained(folder)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def write_tiny_decoder(folder: Path, seed: int = 0) -> Path:
    """A GPT-2 as small, with byte-level tokens and, as those have it, no special ones around a text. One thread, too."""
    torch.set_num_threads(1)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator([f" {word}" for word in WORDS] * 5, trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", model_max_length=64).save_pretrained(
        folder
    )
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(),
        n_positions=64,
        n_embd=32,
        n_layer=2,
        n_head=2,
        eos_token_id=0,
        bos_token_id=0,
    )
    GPT2Model(config).save_pretrained(folder)
    return folder


TOPICS = {
    "sports": ["goal", "match", "team", "coach", "season", "球队", "比赛"],
    "economy": ["bank", "rate", "market", "profit", "share", "银行", "股市"],
    "technology": ["chip", "phone", "robot", "code", "芯片", "手机"],
}


def toy_rows(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Distinct (text, label) rows that a tiny encoder can learn: words of a topic among others."""
    generator = torch.Generator().manual_seed(seed)

    def pick(words: list[str]) -> str:
        return words[int(torch.randint(len(words), (1,), generator=generator))]

    rows: dict[str, str] = {}
    labels = list(TOPICS)
    while len(rows) < count:
        label = labels[len(rows) % len(labels)]
        fillers = [pick(["the", "a", "of", "in", "won", "fell", "rose", "new", "old", "good", "bad"]) for _ in range(5)]
        number = str(int(torch.randint(10_000, (1,), generator=generator)))
        words = [*fillers[:3], pick(TOPICS[label]), number, *fillers[3:], pick(TOPICS[label])]
        rows[" ".join(words)] = label
    return list(rows.items())


def write_rows(path: Path, rows: list[tuple[str, str]]) -> Path:
    """Writes a csv with the columns text and label."""
    lines = ["text,label", *(f'"{text}",{label}' for text, label in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
