"""Validation of a canonical table by a Great Expectations suite; the report names the rows that break a rule.

The suite is built from the contract, run in an ephemeral context, and written as `result.json` and as Data Docs.
Only this module imports Great Expectations, and only when a table is validated: the import takes seconds.
"""

import html
import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foretwin.contract.twin import Twin
from foretwin.dataset.pieces import RowPieces
from foretwin.project.entrypoint import switch_telemetry_off
from foretwin.project.files import fresh, fresh_file
from foretwin.project.json import strict_json
from foretwin.validation.fleet_profile import Profile
from foretwin.validation.rules import Rule, column_rules, column_types_found, fleet_rules, row_rules, run_rules

NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)  # equal data must give equal files, so no run has a time of its own
# What Great Expectations writes otherwise in each run, fetches from the web, or links wrongly. Equal rows must give
# equal pages: else DVC would run `publish` again after each validation, and upload pages with nothing new in them.
STAMP = re.compile(r"\d{8}T\d{6}\.\d{6}Z")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
REMOTE_IMAGE = re.compile(r"https://great-expectations-web-assets[^\"')]*")
NEWSLETTER = re.compile(r"<footer>.*?</footer>", re.DOTALL)
FAVICON = re.compile(r"[./]*static/images/favicon\.ico")  # the pages refer to it one folder too low
# The pages show success and failure only by an icon font from the web; this text shows them without a network.
STATUS_AS_TEXT = """<style>
i.text-success::after { content: " met"; font: small sans-serif }
i.text-danger::after { content: " broken"; font: small sans-serif }
</style>"""
STATIC = ("static/images/favicon.ico", "static/images/logo-long.png")


@dataclass(frozen=True)
class BrokenRule:
    """A rule that the table breaks, with the first rows that do."""

    rule: str
    column: str
    rows: int
    """Number of rows of the table that break it; 0 where the rule is not about rows, such as for too few assets."""
    first: tuple[dict[str, Any], ...]
    """The first three of them: asset, run, time (in the contract's unit) and the column's value."""
    found: str
    """Measured value, where it is a single figure; else empty."""

    def __str__(self) -> str:
        counted = [f"{self.rows:,} row{'s' if self.rows != 1 else ''}"] if self.rows else []
        return f"{self.rule}: {', '.join(counted + ([f'found {self.found}'] if self.found else []))}"


@dataclass(frozen=True)
class ValidationReport:
    """Result of one validation."""

    twin: str
    rows: int
    expectations: int
    broken: tuple[BrokenRule, ...]

    @property
    def success(self) -> bool:
        """Return whether the table meets every rule."""
        return not self.broken

    def __str__(self) -> str:
        outcome = "all met" if self.success else f"{len(self.broken)} broken"
        return f"{self.twin}: {self.rows:,} rows, {self.expectations} expectations, {outcome}"

    def details(self) -> list[str]:
        """Format each broken rule, followed by the first rows that break it."""
        lines = []
        for broken in self.broken:
            lines.append(str(broken))
            for row in broken.first:
                place = f"{row['asset']}, run {row['run']}, time {_short(row['time'])}"
                lines.append(f"  {place}: {broken.column} {_short(row['value'])}")
        return lines


@dataclass(frozen=True)
class Outcome:
    """Result of Great Expectations for one rule on one of the tables."""

    table: str
    rule: Rule
    success: bool
    result: dict[str, Any]


def validate(rows: pd.DataFrame | RowPieces, contract: Twin, out: Path) -> ValidationReport:
    """Validate a canonical table against its contract; write result.json and docs/ into `out`.

    A table with wrong columns is not checked further. Equal tables and contracts give equal files.
    """
    switch_telemetry_off()
    pieces = RowPieces.of(rows) if isinstance(rows, pd.DataFrame) else rows
    head = next(pieces.read())
    with tempfile.TemporaryDirectory() as site:
        context = _context(contract, Path(site))
        outcomes = _judge(context, "columns", column_types_found(head), column_rules(head, contract))
        profile = Profile.of(pieces, contract) if all(outcome.success for outcome in outcomes) else None
        if profile:
            outcomes += _judge(context, "rows", profile.rows, row_rules(contract))
            outcomes += _judge(context, "runs", profile.runs, run_rules(contract))
            outcomes += _judge(context, "fleet", profile.fleet, fleet_rules(contract))
        context.build_data_docs()
        broken = _explain([outcome for outcome in outcomes if not outcome.success], pieces, profile)
        report = ValidationReport(contract.name, pieces.count, len(outcomes), broken)
        _write_docs(Path(site), out / "docs", report)
    with fresh_file(out / "result.json") as path:
        path.write_text(strict_json(_plain(_as_result(report, outcomes, contract)), indent=1) + "\n", encoding="utf-8")
    return report


def _context(contract: Twin, site: Path) -> Any:
    import great_expectations as gx
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

    pages = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(site)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder", "show_cta_footer": False},
    }
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        data_docs_sites={contract.name: pages},
        analytics_enabled=False,
        progress_bars={"globally": False},
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    context.data_sources.add_pandas(contract.name)
    return context


def _judge(context: Any, table: str, frame: pd.DataFrame, rules: Sequence[Rule]) -> list[Outcome]:
    """Run one suite over one frame as a checkpoint; outcomes are in the order of the rules."""
    import great_expectations as gx
    from great_expectations.core.run_identifier import RunIdentifier

    (source,) = context.data_sources.all().values()
    batch = source.add_dataframe_asset(table).add_batch_definition_whole_dataframe("all")
    expectations = [
        getattr(gx.expectations, rule.expectation)(
            **rule.arguments, description=html.escape(rule.words), meta={"rule": number}
        )
        for number, rule in enumerate(rules)
    ]
    suite = context.suites.add(gx.ExpectationSuite(name=table, expectations=expectations))
    definition = gx.ValidationDefinition(name=table, data=batch, suite=suite)
    context.validation_definitions.add(definition)
    checkpoint = gx.Checkpoint(name=table, validation_definitions=[definition], result_format="SUMMARY")
    outcome = context.checkpoints.add(checkpoint).run(
        batch_parameters={"dataframe": frame}, run_id=RunIdentifier(run_name=source.name, run_time=NO_TIME)
    )
    (validation,) = outcome.run_results.values()
    judged = {result.expectation_config.meta["rule"]: result for result in validation.results}
    return [
        Outcome(table, rule, bool(judged[number].success), judged[number].result) for number, rule in enumerate(rules)
    ]


def _explain(broken: Sequence[Outcome], pieces: RowPieces, profile: Profile | None) -> tuple[BrokenRule, ...]:
    """Return the broken rules, each with the rows behind it."""
    if profile is None:
        observed = [
            outcome.result.get("observed_value") or outcome.result["partial_unexpected_list"] for outcome in broken
        ]
        words = zip((outcome.rule for outcome in broken), map(", ".join, observed), strict=True)
        return tuple(BrokenRule(rule.words, rule.column, 0, (), found) for rule, found in words)
    behind = [profile.behind[outcome.rule.measure] for outcome in broken]
    shown = sorted({position for one in behind for position in one.first})
    rows = pieces.at(shown)
    found = []
    for outcome, one in zip(broken, behind, strict=True):
        rule = outcome.rule
        measured = (profile.runs if outcome.table == "runs" else profile.fleet).get(rule.measure)
        value = "" if rule.arguments.get("max_value") == 0 or measured is None else f"{_worst(measured, rule):g}"
        first = tuple(_row(rows, shown.index(position), rule.column) for position in one.first)
        found.append(BrokenRule(rule.words, rule.column, one.count, first, value))
    return tuple(found)


def _worst(measured: "pd.Series[float]", rule: Rule) -> float:
    return float(measured.min() if "min_value" in rule.arguments else measured.max())


def _short(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _row(rows: pd.DataFrame, position: int, column: str) -> dict[str, Any]:
    names = {"asset": "asset", "run": "run", "time": "time", "value": column}
    row = {key: rows[name].iat[position] for key, name in names.items() if name in rows.columns}
    return {key: _scalar(value) for key, value in row.items()}


def _scalar(value: Any) -> Any:
    """Convert a value to plain Python; a float32 with its own digits, 643.07 and not 643.0700073."""
    if isinstance(value, np.float32):
        return float(str(value))
    return value.item() if isinstance(value, np.generic) else value


def _as_result(report: ValidationReport, outcomes: list[Outcome], contract: Twin) -> dict[str, Any]:
    tables: dict[str, list[dict[str, Any]]] = {}
    for outcome in outcomes:
        rule = outcome.rule
        tables.setdefault(outcome.table, []).append(
            {
                "rule": rule.words,
                "expectation": rule.expectation,
                "arguments": dict(rule.arguments),
                "success": outcome.success,
                "result": outcome.result,
            }
        )
    head = {"twin": report.twin, "contract": contract.digest, "rows": report.rows, "success": report.success}
    return {**head, "broken": [asdict(broken) for broken in report.broken], "checkpoints": tables}


def _plain(value: Any) -> Any:
    """Convert a value to JSON types; a number that is not finite becomes its name."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value


def _write_docs(site: Path, out: Path, report: ValidationReport) -> None:
    """Copy the pages that Great Expectations built, without tracking images, time stamps and random ids."""
    with fresh(out) as folder:
        pages = sorted(site.rglob("*.html"))
        links = {page: STAMP.sub("latest", page.relative_to(site).as_posix()) for page in pages}
        for page, link in links.items():
            target = folder / link
            target.parent.mkdir(parents=True, exist_ok=True)
            text = _cleaned(page.read_text(encoding="utf-8"), "../" * link.count("/"))
            if link == "index.html":
                text = text.replace("</body>", _overview(report, [*links.values()]) + "</body>")
            target.write_text(text, encoding="utf-8")
        for name in STATIC:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((site / name).read_bytes())


def _cleaned(page: str, root: str) -> str:
    page = NEWSLETTER.sub("", REMOTE_IMAGE.sub(f"{root}{STATIC[1]}", page))
    page = FAVICON.sub(f"{root}{STATIC[0]}", UUID.sub("0", STAMP.sub("latest", page)))
    page = page.replace("1970-01-01T00:00:00Z", "latest").replace("1970-01-01 00:00:00 UTC", "latest")
    return page.replace("</head>", f"{STATUS_AS_TEXT}</head>")


def _overview(report: ValidationReport, links: list[str]) -> str:
    """Render the index without scripts: the outcome with its rows, and a link to every page."""
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in report.details())
    others = "".join(f'<li><a href="{link}">{link}</a></li>' for link in links if link != "index.html")
    return f'<div class="container-fluid"><h5>{html.escape(str(report))}</h5><ul>{lines}</ul><ul>{others}</ul></div>'
