"""A dashboard as Grafana's own types read it."""

import json
from collections.abc import Iterator


def lost_by_grafana(dashboard: dict) -> Iterator[str]:
    """The paths of what is not the same after Grafana's types have read the dashboard: they know every field."""
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    return _lost(dashboard, json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder)))


def _lost(written, read, path="") -> Iterator[str]:
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            yield from _lost(value, read.get(key), f"{path}.{key}")
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for i, value in enumerate(written):
            yield from _lost(value, read[i], f"{path}[{i}]")
    elif written != read:
        yield f"{path}: {written!r} becomes {read!r}"
