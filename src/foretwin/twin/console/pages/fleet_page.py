"""The home page: the fleet by urgency, and what is wrong with it as a whole."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.responses import Response

from foretwin.twin.console.visits import Visit, page_url
from foretwin.twin.console.wording import HEALTH

FILTERS = ("twin", "health", "search", "site", "line", "owner", "tag", "stale")
SHOWN = "50"  # machines of one page
URGENT_FIRST = "urgency"
BAR = 120  # width of the picture of a remaining life


async def show_fleet(visit: Visit) -> Response:
    """GET /: counts, the table by urgency, and filters."""
    asked = asked_of_list(visit)
    overview = await visit.calls.get("/v1/overview")
    listed = await visit.calls.get("/v1/twins", {"sort": URGENT_FIRST, **asked, "limit": SHOWN})
    machines = listed["items"]
    return visit.render(
        "fleet.html",
        counts=_by_health(overview["assets"]),
        silent=sum(one["silent"] for one in overview["assets"]),
        unheard=sum(one["unheard"] for one in overview["assets"]),
        total=sum(one["assets"] for one in overview["assets"]),
        open_cases={
            severity: sum(one["cases"] for one in overview["cases"] if one["severity"] == severity)
            for severity in ("urgent", "planned")
        },
        overview=overview,
        failures={kind: sum(one[kind] for one in overview["failures"]) for kind in ("foreseen", "missed")},
        is_counted=all(one["is_complete"] for one in overview["failures"]),
        twins=sorted({one["twin"] for one in overview["assets"]}),
        machines=machines,
        bars=_bars(machines),
        bar_width=BAR,
        chosen=asked,
        asked={name: asked.get(name, "") for name in FILTERS},
        sort=asked.get("sort", URGENT_FIRST),
        following=page_after(listed["next"], "/"),
    )


def asked_of_list(visit: Visit) -> dict[str, str]:
    """Return the query of a page for the API, which knows what it takes; only the length of a page is ours."""
    return {name: value for name, value in visit.query.items() if name != "limit"}


def page_after(next_call: str | None, page: str) -> str | None:
    """Return the page that shows what the API says comes next."""
    if next_call is None:
        return None
    query = {name: values[-1] for name, values in parse_qs(urlsplit(next_call).query).items()}
    return page_url(page, **query)


def _by_health(counts: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {word: sum(one["assets"] for one in counts if one["health"] == word) for word in HEALTH}


def _bars(machines: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return by name the places of low, value and high on a bar that is as long as the longest life of its unit."""
    scores = {one["asset"]: (one["last_score"] or {}).get("rul") for one in machines}
    known = {name: rul for name, rul in scores.items() if rul}
    longest: dict[str, float] = {}
    for rul in known.values():
        longest[rul["unit"]] = max(longest.get(rul["unit"], 0.0), rul["high"])
    return {
        name: {end: round(BAR * rul[end] / (longest[rul["unit"]] or 1), 1) for end in ("low", "value", "high")}
        for name, rul in known.items()
    }
