"""logproto.PushRequest for protobuf's C core, built from its description at run time: no generated code, no compiler.

Text fields are declared as bytes: Go's senders do not check that they are UTF-8, and one bad line must not cost
the rest.
"""

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_INT32, _INT64, _UINT64, _BYTES, _MESSAGE = 5, 3, 4, 12, 11
_FIELDS: dict[str, list[tuple[int, str, int, str]]] = {
    "Time": [(1, "seconds", _INT64, ""), (2, "nanos", _INT32, "")],
    "Pair": [(1, "name", _BYTES, ""), (2, "value", _BYTES, "")],
    "Entry": [
        (1, "timestamp", _MESSAGE, "Time"),
        (2, "line", _BYTES, ""),
        (3, "structuredMetadata", _MESSAGE, "*Pair"),
    ],
    "Stream": [(1, "labels", _BYTES, ""), (2, "entries", _MESSAGE, "*Entry"), (3, "hash", _UINT64, "")],
    "PushRequest": [(1, "streams", _MESSAGE, "*Stream")],
}


@cache
def push_request() -> Any:
    """Give the message class."""
    file = descriptor_pb2.FileDescriptorProto(
        name="watchkeeper/push.proto", package="watchkeeper.push", syntax="proto3"
    )
    for message, fields in _FIELDS.items():
        described = file.message_type.add(name=message)
        for number, name, kind, of in fields:
            field = described.field.add(name=name, number=number, type=kind, label=3 if of.startswith("*") else 1)
            if of:
                field.type_name = f".watchkeeper.push.{of.removeprefix('*')}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("watchkeeper.push.PushRequest"))
