"""The words that the tiny bundles know, English and Chinese, and a WordPiece tokenizer of them."""

from __future__ import annotations

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = {
    "business": ["bank", "rate", "shares", "market", "profit", "银", "行", "股", "市"],
    "sports": ["goal", "match", "team", "coach", "season", "球", "队", "比", "赛"],
    "technology": ["chip", "phone", "software", "robot", "data", "芯", "片", "手", "机"],
}
LABELS = list(WORDS)
TAGS = {
    "B-PER": ["ada", "alan", "王"],
    "I-PER": ["lovelace", "turing", "明"],
    "B-LOC": ["paris", "new", "北"],
    "I-LOC": ["york", "京"],
}
"""Words whose label is this one; every other word is "O"."""
TAG_LABELS = ["O", *TAGS]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIAL, *(word for words in (*WORDS.values(), *TAGS.values()) for word in words)]


def tiny_tokenizer() -> Tokenizer:
    """As a BERT's: lower case, Chinese character by character, unknown words become [UNK]."""
    ids = {word: index for index, word in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return tokenizer
