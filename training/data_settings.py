"""Settings of everything before training: reading, cleaning, splitting. Frozen, complete, checked against themselves."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class DataSettings(BaseModel):
    """Where the rows are and how they become a data set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """A csv, tsv, jsonl or parquet file, a folder with train/validation/test files, or a hub data set id."""
    validation_path: str | None = None
    """A file of validation rows; then `path` holds the rest."""
    test_path: str | None = None
    """A file of test rows; then `path` holds the rest."""
    text: str | None = None
    """Column of the text; None: found by name, then by shape."""
    text_pair: str | None = None
    """Column of the second text of a pair; None: only names that come in pairs (premise/hypothesis, ...)."""
    label: str | None = None
    """Column of the label; None: found by name, then by shape."""
    label_kind: Literal["class", "number", "relevance", "entities"] = "class"
    """What the column of the label holds. relevance: of a candidate (the second text) to a query (the first), 0 or more.
    entities: tags of tokens, or spans of a text, see training/reading/annotated.py."""
    label_separator: str | None = Field(default=None, min_length=1, max_length=8)
    """Texts can have several labels, which this separates in their column; an empty one means that none applies. None: each
    text has one label."""
    relation: Literal["auto", "pair", "score", "label"] | None = None
    """For sentence encoders, what says which texts belong together. pair: those of a row. score: a number says how near those of
    a row are. label: texts of one label. auto: the columns say which. None: that is not what is learned."""
    negative: str | None = None
    """Column of a text that does not belong with the first one although it seems to (relation pair); None: found by name."""
    split: str | None = None
    """Column that says train, validation or test; None: a column named `split`, if there is one."""
    encoding: str | None = None
    """Encoding of text files; None: UTF-8 or UTF-16 by its byte order mark, else UTF-8, else GB 18030."""

    near_duplicate_threshold: float = Field(default=0.9, gt=0.5, le=1.0)
    """Jaccard similarity of character 4-grams from which two texts of one label count as one; or of numbers that differ by
    at most a tenth of their standard deviation."""
    conflicts: Literal["majority", "drop", "keep"] = "majority"
    """Same text, different labels: keep the label of a strict majority (drop all when there is none), drop, or keep. Numbers
    rarely have a majority: of these the first keeps the median."""
    min_rows_per_class: int = Field(default=3, ge=1)
    """Fewer rows than this in a class is an error, unless `drop_rare_classes`."""
    drop_rare_classes: bool = False

    validation_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    test_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    group_threshold: float = Field(default=0.7, gt=0.3, le=1.0)
    """Texts at least this similar always land in the same split; where candidates have a relevance, queries."""
    seed: int = Field(default=13, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> DataSettings:
        if self.group_threshold > self.near_duplicate_threshold:
            raise ValueError("group_threshold must not exceed near_duplicate_threshold")
        if self.label_kind in {"number", "relevance"} and (self.label_separator is not None or self.drop_rare_classes):
            raise ValueError("label_separator and drop_rare_classes are for classes, not for numbers")
        if self.label_kind == "entities" and (self.label_separator is not None or self.text_pair is not None):
            raise ValueError("texts with entities have neither several labels nor a second text")
        if self.negative is not None and self.relation not in {"auto", "pair"}:
            raise ValueError("negative is a column beside pairs of texts that belong together")
        if self.relation is not None and self.label_separator is not None:
            raise ValueError("texts belong together by one label each: leave label_separator away")
        if self.validation_fraction + self.test_fraction > 0.6:
            raise ValueError("validation_fraction + test_fraction must leave at least 40 % for training")
        return self
