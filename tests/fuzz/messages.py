"""Strategies for protobuf messages, derived from their descriptors.

Random messages rarely get past the first check, so half of the examples begin with a proper request, of which a few fields
are then replaced, cleared, or repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

DEPTH = 3
"""Levels of nested messages; below them they are empty."""
SIGNED = {FieldDescriptor.CPPTYPE_INT32: 31, FieldDescriptor.CPPTYPE_INT64: 63}
UNSIGNED = {FieldDescriptor.CPPTYPE_UINT32: 32, FieldDescriptor.CPPTYPE_UINT64: 64}
WORDS = [
    "", " ", "tiny", "stable", "canary", "text", "text_pair", "input_ids", "attention_mask", "token_type_ids", "label",
    "probabilities", "BYTES", "INT64", "INT32", "FP32", "1", "2", "0", "-1", "classification", "timeout",
    "the bank cut its rate", "球队赢了比赛", "a\u0000b", "\u202e\u200d", "[MASK] [CLS]",
    "goal " * 200, "e\u0301" * 50, "👩‍👩‍👧‍👦" * 9,
    "../../etc/passwd", "x" * 300,
]  # fmt: skip
BLOBS = [b"", b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x04\x00\x00\x00bank", b"\x01" * 8, b"\xff" * 64, b"\xc3\x28"]


def messages(descriptor: Descriptor, depth: int = DEPTH) -> st.SearchStrategy[Message]:
    """Any message of the type: each field may be set, one of each oneof at most."""
    return st.composite(_build)(descriptor, depth)  # type: ignore[arg-type]


def mutations(proper: Sequence[Message]) -> st.SearchStrategy[Message]:
    """One of the proper messages with up to four changes somewhere inside."""
    return st.composite(_mutate)(proper)  # type: ignore[arg-type]


def requests(proper: Sequence[Message], descriptor: Descriptor) -> st.SearchStrategy[Message]:
    """Proper ones changed, and any."""
    return st.one_of(mutations(proper), messages(descriptor)) if proper else messages(descriptor)


Draw = Callable[[st.SearchStrategy[Any]], Any]


def _build(draw: Draw, descriptor: Descriptor, depth: int) -> Message:
    message: Message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if draw(st.booleans()):
            _set(draw, message, field, depth)
    return message


def _mutate(draw: Draw, proper: Sequence[Message]) -> Message:
    base = draw(st.sampled_from(list(proper)))
    changed: Message = type(base)()
    changed.CopyFrom(base)
    for _ in range(draw(st.integers(0, 4))):
        target = draw(st.sampled_from(_parts(changed)))
        fields = list(target.DESCRIPTOR.fields)
        if not fields:
            continue
        field = draw(st.sampled_from(fields))
        if draw(st.booleans()):
            target.ClearField(field.name)
        else:
            _set(draw, target, field, DEPTH - 1)
    return changed


def _parts(message: Message) -> list[Message]:
    """The message and those inside it."""
    parts = [message]
    for field, value in message.ListFields():
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].type == FieldDescriptor.TYPE_MESSAGE:
                parts += [part for key in value for part in _parts(value[key])]
        elif field.is_repeated:
            parts += [part for each in value for part in _parts(each)]
        else:
            parts += _parts(value)
    return parts


def _set(draw: Draw, message: Message, field: FieldDescriptor, depth: int) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _set_entries(draw, getattr(message, field.name), field, depth)
    elif field.is_repeated:
        count = draw(st.one_of(st.integers(0, 4), st.sampled_from([16, 300])))
        value = draw(_values(field, depth))
        for _ in range(count if count > 4 else 0):  # many equal ones: drawing each would take the whole example
            _append(message, field, value)
        for _ in range(count if count <= 4 else 0):
            _append(message, field, draw(_values(field, depth)))
    elif field.message_type is not None:
        part = getattr(message, field.name)
        part.SetInParent()
        part.MergeFrom(draw(_values(field, depth)))
    else:
        setattr(message, field.name, draw(_values(field, depth)))


def _append(message: Message, field: FieldDescriptor, value: Any) -> None:
    values = getattr(message, field.name)
    if field.message_type is not None:
        values.add().CopyFrom(value)
    else:
        values.append(value)


def _set_entries(draw: Draw, entries: Any, field: FieldDescriptor, depth: int) -> None:
    key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
    for _ in range(draw(st.integers(0, 3))):
        name = draw(_values(key, depth))
        if value.message_type is not None:
            entries[name].MergeFrom(draw(_values(value, depth - 1)))
        else:
            entries[name] = draw(_values(value, depth))


def _values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    """A single value of the field."""
    kind = field.cpp_type
    if field.message_type is not None:
        return messages(field.message_type, depth - 1) if depth > 0 else st.builds(GetMessageClass(field.message_type))
    if kind in SIGNED:
        high = (1 << SIGNED[kind]) - 1
        return st.one_of(st.sampled_from([0, 1, -1, 2, 256, high, -high - 1]), st.integers(-high - 1, high))
    if kind in UNSIGNED:
        return st.integers(0, (1 << UNSIGNED[kind]) - 1)
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return st.one_of(st.sampled_from([0, 1, 2, 3]), st.sampled_from([-1, 99, (1 << 31) - 1]))
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if kind in {FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE}:
        return st.one_of(st.sampled_from([0.0, 1.0, -1.0, 0.5]), st.floats(width=32))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.one_of(st.sampled_from(BLOBS), st.binary(max_size=100))
    return st.one_of(st.sampled_from(WORDS), st.text(max_size=40))
