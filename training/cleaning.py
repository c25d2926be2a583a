"""Repairs the text of single examples: mojibake, markup, control characters, white space.

What is kept on purpose: case, punctuation (full-width Chinese punctuation too: normalisation is NFC, not NFKC), emoji
with their joiners. Cleaning a clean text changes nothing.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from training.dataset import Example

TAGS = (
    *(
        "a",
        "b",
        "blockquote",
        "body",
        "br",
        "center",
        "cite",
        "code",
        "dd",
        "del",
        "div",
        "dl",
        "dt",
        "em",
        "font",
        "form",
        "h1",
    ),
    *(
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "head",
        "hr",
        "html",
        "i",
        "img",
        "input",
        "ins",
        "label",
        "li",
        "link",
        "mark",
        "meta",
        "ol",
    ),
    *(
        "option",
        "p",
        "pre",
        "q",
        "s",
        "section",
        "select",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
    ),
    *(
        "td",
        "th",
        "thead",
        "title",
        "tr",
        "u",
        "ul",
        "video",
        "audio",
        "iframe",
        "button",
        "article",
        "header",
        "footer",
        "nav",
    ),
)
TAG = re.compile(rf"</?(?:{'|'.join(TAGS)})(?:\s[^<>]*)?/?>", re.IGNORECASE)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
INVISIBLE_BLOCK = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
CONTROL = re.compile(
    r"[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]"
)
SPACE = re.compile(r"\s+")
ROUNDS = 8
"""Removing one layer can uncover another (&amp;lt;b&amp;gt;); nested deeper than this is left as it is."""


@dataclass(slots=True)
class CleaningReport:
    """How many texts each repair changed, and rows that ended up empty (source, line)."""

    changed: Counter[str] = field(default_factory=Counter)
    empty: list[tuple[str, int]] = field(default_factory=list)


def clean_text(text: str) -> str:
    """The repaired text; idempotent."""
    return clean_with_reasons(text)[0]


def clean_with_reasons(text: str) -> tuple[str, set[str]]:
    """The repaired text and the names of the repairs that changed something."""
    reasons: set[str] = set()
    for _ in range(ROUNDS):
        before = text
        for name, repair in REPAIRS:
            repaired = repair(text)
            if repaired != text:
                reasons.add(name)
                text = repaired
        if text == before:
            break
    return text, reasons


def clean(examples: Iterable[Example]) -> tuple[list[Example], CleaningReport]:
    """Repairs every text and drops the rows that are empty afterwards (for pairs: either side).

    Texts with entities stay as they are, since a repair would move what the entities count; a blank one is dropped.
    """
    report = CleaningReport()
    kept: list[Example] = []
    for example in examples:
        if example.entities is not None and example.text.strip():
            kept.append(example)
            continue
        text, reasons = clean_with_reasons(example.text)
        pair = example.text_pair
        if pair is not None:
            pair, more = clean_with_reasons(pair)
            reasons |= more
        if not text or pair == "":
            report.empty.append((example.source, example.row))
            continue
        negative = clean_text(example.negative) or None if example.negative is not None else None
        report.changed.update(reasons)
        label = " ".join(example.label.split())
        kept.append(replace(example, text=text, text_pair=pair, negative=negative, label=label))
    return kept, report


def _mojibake(text: str) -> str:
    import ftfy

    if text.isascii():
        return text
    config = ftfy.TextFixerConfig(
        unescape_html=False,
        remove_terminal_escapes=True,
        fix_character_width=False,
        uncurl_quotes=False,
        fix_latin_ligatures=False,
        fix_line_breaks=False,
        normalization="NFC",
        max_decode_length=1_000_000,
    )
    fixed: str = ftfy.fix_text(text, config)
    return fixed


def _markup(text: str) -> str:
    """Without tags, comments and entities. Only real tags: "a < b and c > d" stays."""
    if "<" in text:
        text = COMMENT.sub(" ", text)
        text = INVISIBLE_BLOCK.sub(" ", text)
        text = TAG.sub(" ", text)
    return ENTITY.sub(lambda match: html.unescape(match.group()), text) if "&" in text else text


def _control(text: str) -> str:
    return CONTROL.sub("", text)


def _space(text: str) -> str:
    return SPACE.sub(" ", text).strip()


REPAIRS = (("mojibake", _mojibake), ("markup", _markup), ("control characters", _control), ("white space", _space))
