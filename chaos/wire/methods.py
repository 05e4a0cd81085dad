"""Temporal's methods: which messages they take, and the namespaces in those."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from temporalio.api.operatorservice.v1 import request_response_pb2 as operator_pb2
from temporalio.api.workflowservice.v1 import request_response_pb2

SERVICE = "/temporal.api.workflowservice.v1.WorkflowService/"
_MODULES = {
    SERVICE: request_response_pb2,
    "/temporal.api.operatorservice.v1.OperatorService/": operator_pb2,
}

_NAMES = frozenset({"namespace", "workflow_namespace", "parent_workflow_namespace"})
_INFO = "temporal.api.namespace.v1.NamespaceInfo"
"""Whose `name` is that of a namespace."""


@cache
def message_class(method: str, part: str) -> Callable[[], Message] | None:
    """The class of the `Request` or the `Response` of a method by its full name; None where it is
    not known.
    """
    service, slash, name = method.rpartition("/")
    found = getattr(_MODULES.get(service + slash), name + part, None)
    return found if isinstance(found, type) and issubclass(found, Message) else None


def rename_request(request: Message, namespace: str) -> str:
    """Send it on with a namespace, also where it names its own once more; the name that it had."""
    if "namespace" not in request.DESCRIPTOR.fields_by_name:
        return ""
    own: str = getattr(request, "namespace")  # noqa: B009 - mypy knows no field of a Message
    if own:
        rename(request, own, namespace)
    setattr(request, "namespace", namespace)  # noqa: B010 - as above
    return own


def rename(message: Message, old: str, new: str) -> None:
    """Wherever a message, or one within, names the namespace `old`, it names `new`."""
    for field in _fields(message.DESCRIPTOR):
        inner = field.message_type
        if inner is None:
            if getattr(message, field.name) == old:
                setattr(message, field.name, new)
        elif inner.GetOptions().map_entry:
            for each in getattr(message, field.name).values():
                rename(each, old, new)  # no map here has values of another kind that lead to one
        elif _is_repeated(field):
            for each in getattr(message, field.name):
                rename(each, old, new)
        elif message.HasField(field.name):
            rename(getattr(message, field.name), old, new)


def names_namespaces(method: str, part: str) -> bool:
    """Whether the request or the reply of a method may name one."""
    found = message_class(method, part)
    return found is not None and bool(_fields(found().DESCRIPTOR))


@cache
def _fields(descriptor: Descriptor) -> tuple[FieldDescriptor, ...]:
    """Those that are, or lead to, the name of a namespace."""
    return tuple(f for f in descriptor.fields if _is_name(f) or _leads(f.message_type))


def _is_name(field: FieldDescriptor) -> bool:
    owner = field.containing_type
    is_info = owner is not None and owner.full_name == _INFO and field.name == "name"
    return is_info or (field.name in _NAMES and field.type == FieldDescriptor.TYPE_STRING)


def _leads(descriptor: Descriptor | None) -> bool:
    """Whether a message of the type, or one however deep within, has such a field."""
    seen: dict[str, Descriptor] = {}
    left = [descriptor]
    while left:
        each = left.pop()
        if each is not None and each.full_name not in seen:
            seen[each.full_name] = each
            left += [field.message_type for field in each.fields]
    return any(_is_name(field) for each in seen.values() for field in each.fields)


def _is_repeated(field: FieldDescriptor) -> bool:
    """Whether it is a list; protobuf before 7 has no `is_repeated`, later ones no `label`."""
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == FieldDescriptor.LABEL_REPEATED)  # type: ignore[attr-defined]  # of older versions
