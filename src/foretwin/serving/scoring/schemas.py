"""JSON Schemas of the service's bodies, from the contracts of the served twins.

They say what the service checks, no more: a body that fits may still be refused for what a schema cannot say, such as
times that do not increase.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foretwin.champion.champion import Champion
from foretwin.contract.channels import Channel
from foretwin.contract.twin import UNKNOWN, Twin
from foretwin.predictor.bundle import Bundle
from foretwin.predictor.failure_chances import failure_column, horizon_name
from foretwin.predictor.health.health_state import BASELINE, FLEET, INDEX, OWN, STATE, STATES
from foretwin.predictor.health.own_baseline import needs_baseline
from foretwin.predictor.shapley import players
from foretwin.serving.http.limits import Limits
from foretwin.wire.asset_names import LONGEST_NAME, NAME_PATTERN
from foretwin.wire.values import LARGEST, LARGEST_RUN

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME, "pattern": NAME_PATTERN}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
EXAMPLE_ROWS = 3


def record_schema(fields: Mapping[str, Schema], optional: Sequence[str] = (), **more: Any) -> Schema:
    """Return an object schema with these fields and no others."""
    required = [name for name in fields if name not in optional]
    return {"type": "object", "properties": dict(fields), "required": required, "additionalProperties": False, **more}


PROBLEM_SCHEMA = record_schema(
    {"type": TEXT, "title": TEXT, "status": {"type": "integer"}, "detail": TEXT, "field": TEXT},
    description="A refusal (RFC 9457). `field` is the path of what is at fault, `detail` says why.",
)


def call_schema(contract: Twin, limits: Limits, most_assets: int | None = None) -> Schema:
    """Return the body schema of a scoring call for one twin."""
    shortest, clock = contract.window.shortest, contract.clock
    numbers = {"type": "number", "minimum": -LARGEST, "maximum": LARGEST}
    column = {"type": "array", "items": numbers, "minItems": shortest, "maxItems": max(limits.rows, shortest)}
    channels = {name: _cells(column, channel) for name, channel in contract.channels.items()}
    optional = [contract.channel_names[i] for i in contract.may_be_missing]
    time = f"{clock.unit} since the run began, increasing; usually {clock.step:g} apart"
    asset = record_schema(
        {
            "asset": {**NAME, "description": "the machine's name"},
            "run": {"type": "integer", "minimum": 0, "maximum": LARGEST_RUN, "default": 1},
            "time": {**column, "description": time},
            "channels": record_schema(channels, optional, description="each with one value per time"),
            "observed_at": {**_moment(), "description": "when the last reading was taken"},
        },
        optional=("run", "observed_at"),
    )
    units = {"time": clock.unit} | {name: channel.unit for name, channel in contract.channels.items()}
    return record_schema(
        {
            "twin": {"const": contract.name},
            "assets": {
                "type": "array",
                "items": asset,
                "minItems": 1,
                "maxItems": most_assets or max(limits.rows // shortest, 1),
            },
            "units": {
                "type": "object",
                "properties": {name: {"const": unit} for name, unit in units.items()},
                "additionalProperties": False,
                "description": "the units that the caller means; another one than the contract's is refused",
            },
        },
        optional=("units",),
        title=contract.title,
    )


def answer_schema(champion: Champion) -> Schema:
    """Return the answer schema of a scoring call for the twin of this champion."""
    return record_schema(
        {"model": model_schema(champion), "scores": {"type": "array", "items": _score_schema(champion)}}
    )


def explanation_schema(champion: Champion) -> Schema:
    """Return the answer schema of an explanation call for the twin of this champion."""
    contract = champion.bundle.contract
    contributions = record_schema(dict.fromkeys(players(champion.bundle), NUMBER))

    def question(answer: Schema, unit: str) -> Schema:
        told = {"answer": answer, "unit": {"const": unit}, "base": NUMBER, "prediction": NUMBER}
        about = "base, the prediction for a healthy machine in the same operation, and contributions add up to it"
        return record_schema({**told, "contributions": contributions}, description=about)

    questions = {"rul": question({"const": "rul"}, contract.clock.unit)} if contract.rul else {}
    for axis in contract.axes:
        questions[axis] = question({"enum": list(contract.classes(axis))}, "probability")
    told = {"model": model_schema(champion), "asset": TEXT, "run": {"type": "integer"}, "time": NUMBER}
    return record_schema({**told, "questions": record_schema(questions)})


def model_schema(champion: Champion) -> Schema:
    """Return the schema of the model that answered."""
    return record_schema(
        {
            "name": {"const": champion.identity.name},
            "version": TEXT,
            "run": {**TEXT, "description": "the run that trained it"},
            "digest": {**TEXT, "description": "of the model's files"},
            "contract": {**TEXT, "description": "the digest of the contract that it was trained under"},
        }
    )


def models_schema() -> Schema:
    """Return the answer schema of /v1/models."""
    number_or_null, text_or_null = {"type": ["number", "null"]}, {"type": ["string", "null"]}
    span = {"min": NUMBER, "max": NUMBER}
    channel = record_schema(
        {
            "unit": TEXT,
            "role": {"enum": ["setting", "sensor"]},
            "description": TEXT,
            **span,
            "trained": record_schema(span),
            "categories": {"type": "array", "items": TEXT},
        },
        optional=("categories",),
        description="`min`, `max`: the physical limits; `trained`: what the machines in training showed",
    )
    texts = {"type": "array", "items": TEXT}
    model = record_schema(
        {
            **dict.fromkeys(("twin", "title", "name", "version", "run", "digest", "contract"), TEXT),
            "commit": text_or_null,
            "promoted_at": {**text_or_null, "format": "date-time"},
            "age_seconds": {**number_or_null, "description": "since it was promoted"},
            "metrics": {"type": "object", "description": "measured on assets that took no part in training"},
            "gate": _or_null(record_schema({"promoted": {"type": "boolean"}, "reasons": texts})),
            "channels": {"type": "object", "additionalProperties": channel},
            "window": record_schema({"length": {"type": "integer"}, "shortest": {"type": "integer"}}),
            "clock": record_schema({"unit": TEXT, "step": NUMBER}),
            "rul": _or_null(record_schema({"unit": TEXT, "cap": NUMBER, "level": SHARE})),
            "faults": {"type": "object", "additionalProperties": record_schema({"title": TEXT, "classes": texts})},
        }
    )
    return record_schema({"models": {"type": "array", "items": model}})


def example_call(bundle: Bundle) -> dict[str, Any]:
    """Return a valid call: a healthy machine, with as few rows as suffice."""
    contract, healthy = bundle.contract, bundle.reference.healthy[0]  # (P, C)
    count = min(max(contract.window.shortest, EXAMPLE_ROWS), contract.window.length)
    rows = healthy[np.arange(count) % len(healthy)]
    channels = {
        name: [one.cell(round(value)) if one.categories else float(f"{value:.6g}") for value in column]
        for (name, one), column in zip(contract.channels.items(), rows.T.tolist(), strict=True)
    }
    time = [contract.clock.step * (i + 1) for i in range(count)]
    return {"twin": contract.name, "assets": [{"asset": "EXAMPLE-1", "time": time, "channels": channels}]}


def table_columns(contract: Twin) -> str:
    """Describe the columns of a table for one twin."""
    channels = ", ".join(f"`{name}` ({channel.unit or 'text'})" for name, channel in contract.channels.items())
    return f"`asset` (text), `time` ({contract.clock.unit}), {channels}, and if known `run` (integer) and `observed_at`"


def answer_columns(contract: Twin) -> str:
    """Describe the columns of a table of scores for one twin."""
    rul = f"`rul`, `rul_low`, `rul_high` ({contract.clock.unit}), " if contract.rul else ""
    rul += "".join(f"`{failure_column(one)}`, " for one in (contract.rul.horizons if contract.rul else ()))
    faults = "".join(
        f"`{axis}` with the answer, `p_{axis}_` with each of {', '.join(contract.classes(axis))}, "
        for axis in contract.axes
    )
    faults += f"`{INDEX}`, `{STATE}`, " if contract.health else ""
    faults += f"`{BASELINE}`, " if needs_baseline(contract) else ""
    return f"`asset`, `run`, `time`, `rows`, {rul}{faults}`data_age` where it is known, `warnings`"


def _score_schema(champion: Champion) -> Schema:
    contract = champion.bundle.contract
    fields: dict[str, Schema] = {"asset": TEXT, "time": NUMBER}
    fields["rows"] = {"type": "integer", "minimum": 1, "description": "how many the prediction saw"}
    if contract.rul:
        life = {"type": "number", "minimum": 0, "maximum": contract.rul.cap}
        ends = {"value": life, "low": life, "high": life, "level": SHARE, "unit": {"const": contract.clock.unit}}
        fields["rul"] = record_schema(
            ends, description="the share `level` of true lives should lie between low and high"
        )
        if contract.rul.horizons:
            within = record_schema(dict.fromkeys(map(horizon_name, contract.rul.horizons), SHARE))
            fields["p_failure"] = within | {"description": f"within so many {contract.clock.unit}"}
    axes = {axis: contract.classes(axis) for axis in contract.axes}
    fields["faults"] = record_schema({axis: record_schema(dict.fromkeys(names, SHARE)) for axis, names in axes.items()})
    fields["diagnosis"] = record_schema({axis: {"enum": [*names, UNKNOWN]} for axis, names in axes.items()})
    if contract.health is not None:
        index = {"type": "number", "minimum": 0, "maximum": 100}
        told: dict[str, Schema] = {"index": index, "state": {"enum": list(STATES)}}
        told |= {"baseline": {"enum": [OWN, FLEET]}} if needs_baseline(contract) else {}
        fields["health"] = record_schema(told)
    fields["data_age"] = {"type": "number", "minimum": 0, "description": "s since observed_at"}
    fields["warnings"] = {"type": "array", "items": TEXT}
    return record_schema(fields, optional=("data_age",))


def _cells(column: Schema, channel: Channel) -> Schema:
    """Return the schema of a channel's values; null stands for a missing one where that may be."""
    cell = column["items"] if channel.categories is None else {"type": ["string", "number", "boolean"]}
    items = {"anyOf": [cell, {"type": "null"}]} if channel.may_be_missing else cell
    return {**column, "items": items, "description": _about(channel)}


def _about(channel: Channel) -> str:
    limits = f"{channel.unit}, physically from {channel.min:g} to {channel.max:g}"
    if channel.categories is not None:
        limits = f"one of {', '.join(channel.categories)}; another word is taken as unknown"
    return f"{channel.description}; {limits}" if channel.description else limits


def _moment() -> Schema:
    return {"type": "string", "format": "date-time"}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}
