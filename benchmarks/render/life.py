"""The figures of reports/circle.json, drift.json, censoring.json and gate_errors.json as Markdown."""

from typing import Any

from benchmarks.render.speed import table


def circle(report: dict[str, Any]) -> str:
    """A model's life once around: errors of the running service at three moments, and what happened between them."""
    header = ["the running service", *(f"RMSE, {fleet} (h)" for fleet in report["error"]["before"])]
    header += [f"interval holds, {fleet}" for fleet in report["error"]["before"]]
    versions = dict(zip(report["error"], report["versions"], strict=True))
    lines = []
    for moment, fleets in report["error"].items():
        cells = [f"{one['rmse']:.1f}" for one in fleets.values()]
        cells += [f"{one['covered']:.0%}" for one in fleets.values()]
        lines.append([f"{moment}: version {versions[moment]}", *cells])
    drift, cases, seconds = report["drift"], report["cases"], report["seconds"]
    told = cases["by verdict"] + cases["without a case"]
    text = f"{report['pumps']} pumps, of which {report['failed']} failed; technicians told of {told}. "
    text += "The drift case was opened for: " + "; ".join(drift["limits_broken"]) + ". "
    text += f"{seconds['all']} s in all, {seconds['retraining']} s of them retraining.\n"
    return f"{table(header, lines)}\n{text}\nFrom `reports/circle.json`.\n"


def drift(report: dict[str, Any]) -> str:
    """How often half a standard deviation in one channel is seen within 500 readings, by the size of the fleet."""
    fleets = report["fleets"]
    header = ["shifted channel", *(f"{row['pumps']} pumps × {row['hours']} h" for row in fleets)]
    caught = [row["caught"] for row in fleets]
    lines = [
        [name, *(f"{one['change'][name]:.0%} / {one['level'][name]:.0%}" for one in caught)]
        for name in caught[0]["change"]
    ]
    alarms = [f"{max(row['false_alarms'].values()):.0%} of {row['clean']}" for row in fleets]
    lines.append(["clean fleets that raised an alarm", *alarms])
    known = report["reference"]
    text = (
        f"Share of {fleets[0]['shifted']} fleets; first where the same pumps' earlier readings are known, then against "
    )
    text += f"the reference alone, which holds {known['readings']} readings of {known['assets']} pumps.\n"
    return f"{table(header, lines)}\n{text}\nFrom `reports/drift.json`.\n"


def censoring(report: dict[str, Any]) -> str:
    """Errors of networks that learnt from fleets of which only some pumps were seen to fail, and of the floors."""
    unit = report["unit"]
    header = ["pumps, seen to fail", "learnt from", f"RMSE ({unit})", f"bias ({unit})", f"bias, healthy ({unit})"]
    header.append(f"late in the last lead time ({unit})")
    lines = []
    for fleet in report["fleets"]:
        for name, one in (fleet["ways"] | fleet["floors"]).items():
            cells = [f"{one[key]:+.1f}" for key in ("bias", "bias_healthy", "late_last_lead_time")]
            pumps = f"{fleet['pumps']}, {fleet['failed']}"
            lines.append([pumps, name.replace("_", " "), f"{one['rmse']:.1f}", *cells])
    text = f"Judged at {report['cuts']} cuts of {report['judges']} other pumps, all of whose ends are known.\n"
    return f"{table(header, lines)}\n{text}\nFrom `reports/censoring.json`.\n"


def gate_errors(report: dict[str, Any]) -> str:
    """How often the gate refuses a candidate for what it loses, and how often it holds one to be surely better."""
    fleets = report["fleets"]
    header = ["the candidate", "", *(f"{fleet['machines']} machines" for fleet in fleets)]
    rules = {"champion": "refused by a question", "slices": "by a slice", "phm08": "by late predictions"}
    rules |= {"any": "by any of them", "better": "surely better"}
    lines = []
    for name in fleets[0]["refused"]:
        of = [*rules] if name == "equal" else ["better"] if name.endswith("better") else ["any"]
        for rule in of:
            shares = [f"{fleet['refused'][name].get(rule, 0):.1%}" for fleet in fleets]
            title = "refused by any of them" if of == ["any"] else rules[rule]
            lines.append(["equals the champion" if name == "equal" else name, title, *shares])
    doubt = f"{1 - report['confidence']:.0%}"
    text = f"{report['trials']} simulated fleets each; each rule means to refuse an equal candidate in {doubt} at most,"
    text += " and to hold it for better in as many.\n"
    return f"{table(header, lines)}\n{text}\nFrom `reports/gate_errors.json`.\n"


LIFE = {"circle": circle, "drift": drift, "censoring": censoring, "gate_errors": gate_errors}
