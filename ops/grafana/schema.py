#!/usr/bin/env python3
"""Is the dashboard what Grafana's own schema says a dashboard is? Grafana publishes the types of its
schema as grafana-foundation-sdk, one release of the package for each of Grafana; the dashboard is read
with them and written again: what is lost was no field, and each value has to be of its field's type.

Usage: schema.py [DASHBOARD], with `grafana-foundation-sdk` installed
"""
import enum
import json
import pathlib
import sys
import types
import typing

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

# The query of an annotation is the data source's own, and Prometheus's has this field beside `expr`.
OPEN = {"annotations.list[0].titleFormat"}


def lost(written, read, at=""):
    """The fields of `written` that are not in `read`, or differ there."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            path = f"{at}.{key}".lstrip(".")
            if key in read:
                yield from lost(value, read[key], path)
            else:
                yield path, "there is no such field"
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for n, (value, other) in enumerate(zip(written, read)):
            yield from lost(value, other, f"{at}[{n}]")
    elif written != read:
        yield at, f"{written!r} is read as {read!r}"


def mistyped(value, hint, at=""):
    """The fields of `value` that are not of the type that `hint` asks for."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        tries = [list(mistyped(value, it, at)) for it in arguments]
        if all(tries):
            yield min(tries, key=len)[0]
    elif origin is typing.Literal:
        if value not in arguments:
            yield at, f"{value!r} is none of {arguments}"
    elif origin is list and isinstance(value, list):
        for n, it in enumerate(value):
            yield from mistyped(it, arguments[0], f"{at}[{n}]")
    elif origin is dict and isinstance(value, dict):
        for key, it in value.items():
            yield from mistyped(it, arguments[1], f"{at}.{key}")
    elif hint is typing.Any or hint is type(None) and value is None:
        pass
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        if value not in {it.value for it in hint}:
            yield at, f"{value!r} is none of {[it.value for it in hint]}"
    elif hint in (int, float):
        if isinstance(value, bool) or not isinstance(value, (int, hint)):
            yield at, f"{value!r} is no {hint.__name__}"
    elif origin or not isinstance(value, hint):
        yield at, f"{value!r} is no {hint}"
    else:
        # What a panel's options are, its plugin says, and so the class that they were read as.
        for name, it in typing.get_type_hints(type(value)).items():
            yield from mistyped(getattr(value, name), it, f"{at}.{name}".lstrip("."))


def faults(written):
    register_default_plugins()
    read = Dashboard.from_json(written)
    again = json.loads(JSONEncoder().encode(read))
    return [it for it in lost(written, again) if it[0] not in OPEN] + list(mistyped(read, Dashboard))


def main(path):
    dashboard = json.loads(path.read_text())
    found = faults(dashboard)
    for at, what in found:
        print(f"{path}: {at}: {what}")
    if found:
        sys.exit(1)
    print(f"{len(dashboard['panels'])} panels are what Grafana's schema asks for")


if __name__ == "__main__":
    default = pathlib.Path(__file__).with_name("dashboard.json")
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default)
