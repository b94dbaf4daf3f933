"""GET /v1/models: champion, figures and channels of each twin."""

from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from foretwin.champion.champion import Champion
from foretwin.predictor.bundle import Bundle
from foretwin.serving.http.connections import recognise_caller
from foretwin.serving.scoring.answer import describe_model
from foretwin.serving.scoring.state import Service
from foretwin.wire.tables import JSON


async def get_models(request: Request) -> Response:
    """GET /v1/models: which champion answers for each twin, how good it is, and what it wants to know."""
    service: Service = request.app.state.service
    caller = service.guard.admit(request.headers.get("authorization"), "read", "score")
    recognise_caller(request.scope)
    now = datetime.now(UTC)
    served = service.champions.all().items()
    models = [describe_champion(champion, now) for twin, champion in served if caller.bounds.admit_twin(twin)]
    return Response(orjson.dumps({"models": models}), media_type=JSON)


def describe_champion(champion: Champion, now: datetime) -> dict[str, Any]:
    """Describe a champion as plain values; unknown figures are null."""
    record, contract = champion.record, champion.bundle.contract
    promoted = record.promoted_at
    return {
        "twin": contract.name,
        "title": contract.title,
        **describe_model(champion),
        "commit": record.commit,
        "promoted_at": promoted.isoformat() if promoted else None,
        "age_seconds": max((now - promoted).total_seconds(), 0.0) if promoted else None,
        "metrics": record.metrics,
        "gate": record.gate,
        "channels": _channels(champion.bundle),
        "window": contract.window.model_dump(),
        "clock": {"unit": contract.clock.unit, "step": contract.clock.step},
        "rul": _rul(champion.bundle),
        "faults": {
            axis: {"title": fault.title, "classes": list(fault.classes)} for axis, fault in contract.faults.items()
        },
    }


def _channels(bundle: Bundle) -> dict[str, Any]:
    """Describe channels: `min` and `max` are physical limits, `trained` the range in training."""
    low, high = bundle.reference.ranges.tolist()
    return {
        name: {
            "unit": channel.unit,
            "role": channel.role,
            "description": channel.description,
            "min": channel.min,
            "max": channel.max,
            "trained": {"min": low[i], "max": high[i]},
            **({"categories": list(channel.categories)} if channel.categories else {}),
        }
        for i, (name, channel) in enumerate(bundle.contract.channels.items())
    }


def _rul(bundle: Bundle) -> dict[str, Any] | None:
    """Describe the RUL: `cap` is the longest RUL, `level` the nominal coverage of the interval."""
    if bundle.contract.rul is None or bundle.calibration is None:
        return None
    unit = bundle.contract.clock.unit
    return {"unit": unit, "cap": bundle.contract.rul.cap, "level": bundle.calibration.level}
