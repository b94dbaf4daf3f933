"""Descriptions of a registered model and its versions: why each is champion, or is not.

What a page says follows from the verdict alone. It is written once for each verdict: what a roll-back adds stays.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretwin.champion.provenance import decision
from foretwin.contract.twin import Twin
from foretwin.project.paths import Paths
from foretwin.registry.locations import ALIAS, BUNDLE, VERDICT, model_name, read_json, verdict_digest
from foretwin.registry.runs import publish_decision
from foretwin.registry.versions import GATE

if TYPE_CHECKING:
    from mlflow import MlflowClient

REASONS, DECIDED_AT, COMMIT, BEFORE = (
    f"foretwin.{name}" for name in ("reasons", "decided_at", "commit", "champion_before")
)
LONGEST_REASONS = 5000  # characters of a tag, which stores of MLflow differ in; the description has all
QUESTIONS = {"rul_rmse": "RUL RMSE{unit}", "fault_macro_f1": "mean fault macro-F1"}
ARTIFACTS = {
    "card.html": "the model card: data, figures by slice with their intervals, limits",
    "report.html": "figures and pictures of the held-out machines",
    "validation": "the report and the data docs of Great Expectations",
    "promotion.json": "this verdict with all its figures",
    "lineage.json": "what the model was made of",
    "drift.json": "what healthy machines looked like",
    "training.json`, `tuning.json`, `evaluation.json": "the records of the stages",
    "metrics.json": "the headlines of what was measured",
    "bundle": "the model as it is served",
}


def publish_verdict(client: "MlflowClient", paths: Paths, run: str, version: str, verdict: Mapping[str, Any]) -> None:
    """Write the version's description from its verdict, and add the gate's files to its run.

    Tags: foretwin.gate, .reasons, .decided_at, .commit, .champion_before. Nothing is written where this verdict stands
    there already. The model's own page says what the twin is and which alias serves.
    """
    publish_decision(paths, run)
    name, digest = model_name(paths.twin), verdict_digest(verdict)
    if client.get_model_version(name, version).tags.get(VERDICT) == digest:
        return
    bundle = verdict["evidence"]["bundle"]
    files = {one: paths.models / f"{one}.json" for one in ("training", "lineage")} | {"metrics": paths.evaluation}
    records = {one: read_json(path) for one, path in files.items()}
    records = {one: found if found.get("bundle") == bundle else {} for one, found in records.items()}
    _write(client, name, version, verdict, records)
    _describe_model(client, name, paths.models / "bundle")
    client.set_model_version_tag(name, version, VERDICT, digest)  # last: a page that was interrupted is written again


def publish_kept(client: "MlflowClient", paths: Paths, version: str) -> None:
    """Write the description of a champion restored from models/<twin>/champion/, from the files kept there."""
    name, folder = model_name(paths.twin), paths.models / "champion"
    found = client.get_model_version(name, version)
    record = read_json(folder / "record.json")
    if found.description or not record.get("gate"):
        return
    verdict = {
        **record["gate"],
        "decided_at": record.get("promoted_at") or "",
        "evidence": {"bundle": found.tags[BUNDLE]},
        "version": version,
    }
    training = {"git": {"commit": record.get("commit")}}
    records = {
        "training": training,
        "metrics": {"network": record["metrics"]},
        "lineage": read_json(folder / "lineage.json"),
    }
    _write(client, name, version, verdict, records)
    _describe_model(client, name, folder / "bundle")


def _write(
    client: "MlflowClient", name: str, version: str, verdict: Mapping[str, Any], records: Mapping[str, dict[str, Any]]
) -> None:
    before = verdict.get("champion_before")
    tags = {
        GATE: decision(verdict),
        REASONS: _cut("; ".join(verdict["reasons"])),
        DECIDED_AT: verdict["decided_at"],
        COMMIT: _git(records).get("commit") or "unknown",
        BEFORE: f"version {before['version']}" if before else "none",
    }
    client.update_model_version(name, version, _page(version, verdict, records))
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)


def _describe_model(client: "MlflowClient", name: str, bundle: Path) -> None:
    """Describe the registered model from the contract in its newest bundle."""
    contract = Twin.model_validate_json((bundle / "contract.json").read_bytes())
    answers = ["the remaining useful life with an interval"] if contract.rul else []
    answers += [f"{axis.title} ({', '.join(axis.classes)})" for axis in contract.faults.values()]
    text = f"""**{contract.title}**: {contract.description or "no description"}

From a window of {contract.window.length} readings of {len(contract.channels)} channels it says: {"; ".join(answers)}.

The alias `{ALIAS}` names the version that answers: services, batch scoring and the living twin follow it. Only the
gate, a promotion by force and a roll-back move it, and `foretwin ledger {contract.name}` lists when and why. The page
of each version says what the gate decided on it.
"""
    if client.get_registered_model(name).description != text:
        client.update_registered_model(name, text)


def _page(version: str, verdict: Mapping[str, Any], records: Mapping[str, dict[str, Any]]) -> str:
    """Return the description of a version in Markdown."""
    parts = [
        _decision(verdict),
        _checks(verdict),
        _figures(verdict, records["metrics"]),
        _interval(records["metrics"]),
        _origin(verdict, records),
        "### Artifacts of its run\n\n" + "\n".join(f"* `{names}`: {what}" for names, what in ARTIFACTS.items()),
        _commands(version, verdict),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _decision(verdict: Mapping[str, Any]) -> str:
    """Return the decision, its date and its consequences."""
    before, champion = verdict.get("champion_before"), verdict.get("champion")
    moment = verdict["decided_at"].replace("T", " ").replace("+00:00", " UTC")
    if verdict.get("forced"):
        return f"**Promoted by force** on {moment}, although the gate refused it: {verdict['forced']}"
    if verdict["promoted"] and before and before["digest"] == verdict["evidence"]["bundle"]:
        return f"**Promoted** on {moment}, and champion still when it was measured again."
    if verdict["promoted"]:
        place = f"in the place of version {before['version']}" if before else "as the first champion"
        return f"**Promoted** on {moment} {place}."
    stays = f"version {champion['version']} stays the champion" if champion else "there is no champion"
    return f"**Refused** on {moment}: {stays}."


def _checks(verdict: Mapping[str, Any]) -> str:
    """Return the gate's checks, failed ones first; the reasons alone where no checks are known."""
    checks = sorted(verdict.get("checks", ()), key=lambda check: bool(check["passed"]))
    lines = [f"* {'passed' if one['passed'] else '**failed**'} ({one['name']}): {one['sentence']}" for one in checks]
    return "### What the gate looked at\n\n" + "\n".join(lines or [f"* {reason}" for reason in verdict["reasons"]])


def _figures(verdict: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Return candidate, previous champion and baselines as one table; empty where the verdict has no figures."""
    candidate, before = verdict.get("candidate"), verdict.get("champion_before")
    if not candidate:
        return ""
    rows = {f"**version {verdict['version']}**": candidate}
    if before and before.get("figures") and before["digest"] != verdict["evidence"]["bundle"]:
        rows[f"champion before, version {before['version']}"] = before["figures"]
    rows |= {name.replace("_", " "): figures for name, figures in verdict.get("baselines", {}).items()}
    questions = [question for question in QUESTIONS if question in candidate]
    unit = f" ({metrics['unit']})" if "unit" in metrics else ""
    head = [QUESTIONS[question].format(unit=unit) for question in questions]
    lines = [f"| model | {' | '.join(head)} |", f"| --- |{' ---: |' * len(head)}"]
    for label, figures in rows.items():
        lines.append(f"| {label} | {' | '.join(_number(figures.get(question)) for question in questions)} |")
    held_out = f", at {metrics['cuts']} points of {metrics['assets']} machines" if "cuts" in metrics else ""
    return f"### On machines that took no part in training{held_out}\n\n" + "\n".join(lines)


def _interval(metrics: Mapping[str, Any]) -> str:
    interval = metrics.get("network", {}).get("rul", {}).get("interval")
    if not interval or interval["coverage"] is None:
        return ""
    level, covered = f"{interval['level']:.0%}", f"{interval['coverage']:.1%}"
    width = f"{interval['width']:.4g} {metrics.get('unit', '')}".strip()
    return f"The {level} interval of the remaining life covers {covered} of the truths with a mean width of {width}."


def _origin(verdict: Mapping[str, Any], records: Mapping[str, dict[str, Any]]) -> str:
    """Return code and data, by their digests."""
    training, lineage = records["training"], records["lineage"]
    data = training.get("data") or lineage.get("data") or {}
    git = _git(records)
    dirty = ", with changes that were not committed" if git.get("dirty") else ""
    lines = [f"* commit `{git.get('commit') or 'unknown'}`{dirty}", f"* bundle `{verdict['evidence']['bundle']}`"]
    lines += [f"* `{name}` `{digest}`" for name, digest in sorted(data.items()) if name.endswith(".parquet")]
    validation = lineage.get("validation")
    if validation:
        lines.append(f"* the data {'passed' if validation['success'] else 'did not pass'} their validation")
    return "### Made from\n\n" + "\n".join(lines)


def _commands(version: str, verdict: Mapping[str, Any]) -> str:
    name = verdict.get("name", "")
    twin = name.removeprefix(model_name(""))
    if not twin:
        return ""
    return f"""### Load it, take it back

```python
model = mlflow.pyfunc.load_model("models:/{name}/{version}")  # models:/{name}@{ALIAS} is the champion
scores = model.predict(rows)  # asset, run, time and the channels: one score per asset
```

```sh
foretwin rollback {twin} --reason "why"         # the champion before answers again
foretwin rollback {twin} --to {version} --reason "why"  # this one, if it was champion before
```"""


def _git(records: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    return records["training"].get("git") or records["lineage"].get("git") or {}


def _number(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.4g}"


def _cut(text: str) -> str:
    """Shorten the text to the limit of a tag, at the end of a word."""
    return text if len(text) <= LONGEST_REASONS else text[: LONGEST_REASONS - 2].rpartition(" ")[0] + " …"
