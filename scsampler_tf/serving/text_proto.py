"""Classes for TF-Serving's protobufs, made here because TF-Serving's own are a heavy package."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

BOOL, STRING, BYTES, INT64, UINT32 = 8, 9, 12, 3, 13
_MESSAGE = 11

Messages = dict[str, dict[str, tuple[int, int | str, bool]]]
"""Message -> field -> (number, type or name of a message, repeated)."""


def message_class(messages: Messages, name: str):
    """The class of the message `name` out of `messages`."""
    package = "scsampler_tf.serving"
    file = descriptor_pb2.FileDescriptorProto(name="serving.proto", package=package, syntax="proto2")
    for message, fields in messages.items():
        described = file.message_type.add(name=message)
        for field_name, (number, kind, repeated) in fields.items():
            made = described.field.add(name=field_name, number=number, label=3 if repeated else 1)
            made.type = _MESSAGE if isinstance(kind, str) else kind
            if isinstance(kind, str):
                made.type_name = f".{package}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
