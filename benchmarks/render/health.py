"""The figures of reports/health/ as Markdown."""

from statistics import median
from typing import Any

from benchmarks.render.speed import table


def tep(report: dict[str, Any]) -> str:
    """Every method at the same share of false alarms, then each fault by the best candidate and the best floor."""
    header = ["method", "faulty rows told", "without faults 3, 9, 15", "false alarms (95 %)", "before the faults"]
    header += ["told where all rows without a fault set the limit"]
    header += ["median delay (min)", "faults told"]
    methods = report["candidates"] | {f"floor: {name}": one for name, one in report["floors"].items()}
    lines = []
    for name, one in methods.items():
        low, high = one["false_alarm_rate_interval"]
        delays = [value for value in one["delay"].values() if value is not None]
        cells = [one["detection_rate"], one["detection_rate_without_3_9_15"]]
        alarms = f"{one['false_alarm_rate']:.1%} ({low:.1%} to {high:.1%})"
        late = [f"{median(delays):.0f}" if delays else "", f"{len(delays)} of {len(one['delay'])}"]
        told = [f"{cell:.1%}" for cell in cells]
        calm = [
            f"{one['false_alarm_rate_before_faults']:.1%}",
            f"{one['detection_rate_at_share_of_all_calm_rows']:.1%}",
        ]
        lines.append([name.replace("_", " "), *told, alarms, *calm, *late])
    parts = [table(header, lines), _by_fault(report), _injected(report), _sensors(report)]
    return "\n".join([*parts, "From `reports/health/tep.json`.\n"])


def pump(report: dict[str, Any]) -> str:
    """Every model over the same pumps: failures warned of by a case, and false alarms."""
    header = ["model", f"warned {report['lead']:.0f} h ahead (95 %)", "median warning (h)"]
    header += ["false alarms a machine and year", "cases two lead times before the end"]
    methods = report["candidates"] | {f"floor: {name}": one for name, one in report["floors"].items()}
    lines = []
    for name, one in methods.items():
        low, high = one["warned_interval"]
        early = "" if one["median_warning"] is None else f"{one['median_warning']:.0f}"
        cells = [f"{one['warned']:.1%} ({low:.1%} to {high:.1%})", early, f"{one['false_alarms_per_machine_year']:.2f}"]
        lines.append([name.replace("_", " "), *cells, str(one["opened_long_before"])])
    served = report["candidates"]["served"]
    told = (
        f"{served['failures']} failures in {served['machine_years']:.1f} machine years, of which"
        f" {served['healthy_machine_years']:.1f} without wear; the budget is {report['budget']:g} a machine and year."
    )
    return f"{table(header, lines)}\n{told} From `reports/health/pump.json`.\n"


def _by_fault(report: dict[str, Any]) -> str:
    floors = {name: one for name, one in report["floors"].items() if name != "always"}
    best = {}
    for title, group in (("", report["candidates"]), ("floor: ", floors)):
        name = max(group, key=lambda one: float(group[one]["detection_rate"]))
        best[f"{title}{name}".replace("_", " ")] = group[name]
    header = ["fault", *(f"{name}: {what}" for name in best for what in ("rows told", "delay (min)"))]
    lines = []
    for fault in next(iter(best.values()))["by_fault"]:
        cells = [(one["by_fault"][fault], one["delay"][fault]) for one in best.values()]
        lines.append([fault, *(cell for rate, late in cells for cell in (f"{rate:.1%}", _minutes(late)))])
    return table(header, lines)


def _minutes(late: float | None) -> str:
    return "never" if late is None else f"{late:.0f}"


def _injected(report: dict[str, Any]) -> str:
    parts = [f"{name.replace('_', ' ')} {one['auroc']:.2f}" for name, one in report["injected"].items()]
    served = [f"{name.replace('_', ' ')} {weight:.0%}" for name, weight in report["served"]["weights"].items()]
    beside = [name.replace("_", " ") for name in report["served"]["beside"]]
    answers = f"Served: {', '.join(served)}{', beside them ' + ', '.join(beside) if beside else ''}."
    return f"{answers} AUROC on departures that were put into copies of the fault-free run: {', '.join(parts)}.\n"


def _sensors(report: dict[str, Any]) -> str:
    one, several, faults = (report["sensors"][name] for name in ("one_channel", "several_channels", "process_faults"))
    return (
        f"A sensor or the machine: of {one['departed']} copies told as departed in which one channel departs,"
        f" {one['told_right']:.0%} were told as of that channel alone (`check_function`); of {several['departed']}"
        f" in which two or three do, {several['told_right']:.0%} as the machine's. Of {faults['departed']} windows of"
        f" the process' faults that were told, {faults['told_as_sensor']:.1%} were told as of one channel alone.\n"
    )


HEALTH = {"health-tep": tep, "health-pump": pump}
