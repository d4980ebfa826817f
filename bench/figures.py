# SPDX-License-Identifier: MIT
"""What the runs of bench/ have in common: a result file's form, and how turns become figures.

A result file holds `rounds`, `rivals` (name -> version), `missing` (name -> why it is not there),
`machine`, and `cases`; a case has contestants, each with a name, a role and the time of one
operation (or the bytes) in every round:

    {"case": "…", "kind": "at least" | "at most" | "within" | "none", "bar": 3, "share_bar": 0,
     "unit": "s",
     "contestants": [{"name": "graven", "role": "ours", "times": […], "shares": []},
                     {"name": "…", "role": "rival" | "shown", "times": […]}]}

A ratio is made within each round, and the median of those is the figure: what else the machine
does then falls on both sides. The bar compares with the fastest rival, that of the least median
time, or with every one whose name is in `against`; "within" is so many seconds, whoever is there.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OUT = Path("build/bench")


def output_of(*command: str) -> str:
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def machine(folder: Path) -> dict[str, Any]:
    """Where this was measured; `folder` is on the file system the stores were on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "?")
    memory = next(
        int(line.split()[1]) / 2**20
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal")
    )
    virtual = any("hypervisor" in line for line in lines if line.startswith("flags"))
    cores = os.cpu_count() or 1
    return {
        "processor": model,
        "kind": f"{cores} {'shared, virtual' if virtual else 'own'} cores",
        "memory": f"{memory:.0f} GiB",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "kernel": platform.release(),
        "file system": output_of("findmnt", "-n", "-o", "FSTYPE", "-T", str(folder)) or "?",
        "compiler": output_of("c++", "--version").split("\n")[0],
        "python": platform.python_version(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "?"),
        "revision": output_of("git", "describe", "--always", "--dirty", "--abbrev=10"),
    }


@dataclass(frozen=True)
class Verdict:
    """One comparison: our figure against one rival, or against an absolute bar."""

    case: str
    ours: float
    rival: str
    theirs: float
    ratio: float  # the rival's time over ours for "at least", ours over the rival's for "at most"
    least: float  # of the rounds
    most: float
    kind: str
    bar: float
    unit: str

    @property
    def met(self) -> bool | None:
        if self.kind == "none":
            return None
        return self.ratio >= self.bar if self.kind == "at least" else self.ratio <= self.bar

    @property
    def word(self) -> str:
        return {True: "reached", False: "MISSED", None: ""}[self.met]

    @property
    def asked(self) -> str:
        sign = {"at least": ">=", "at most": "<=", "none": ""}[self.kind]
        return f"{sign} {round(self.bar, 2):g}x" if sign else ""


def median(contestant: dict[str, Any]) -> float:
    return statistics.median(contestant["times"])


def compare(
    case: dict[str, Any], rival: dict[str, Any], kind: str, bar: float, name: str = ""
) -> Verdict:
    ours = next(c for c in case["contestants"] if c["role"] == "ours")
    pairs = list(zip(ours["times"], rival["times"]))
    ratios = [a / b if kind == "at most" else b / a for a, b in pairs]
    return Verdict(
        name or case["case"],
        median(ours),
        rival["name"],
        median(rival),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        kind,
        bar,
        case.get("unit", "s"),
    )


def verdicts(case: dict[str, Any]) -> list[Verdict]:
    """The comparisons of a case: with each bar's rival first, then with everyone else."""
    people = [c for c in case["contestants"] if c["role"] != "ours" and c["times"]]
    ours = [c for c in case["contestants"] if c["role"] == "ours" and c["times"]]
    if not ours:
        return []
    result = []
    if case["kind"] == "within":
        asked = {"name": "the target", "times": [case["bar"]] * len(ours[0]["times"])}
        result.append(compare(case, asked, "at most", 1))
    against: dict[str, tuple[str, float]] = case.get("against", {})
    rivals = [c for c in people if c["role"] == "rival"]
    if rivals and case["kind"] in ("at least", "at most") and not against:
        fastest = min(rivals, key=median)
        against = {fastest["name"]: (case["kind"], case["bar"])}
    for rival in sorted(people, key=lambda c: c["name"] not in against):
        kind, bar = against.get(rival["name"], ("none", 0))
        result.append(compare(case, rival, kind, bar))
    if case.get("share_bar"):
        shares = ours[0]["shares"]
        share = statistics.median(shares)
        result.append(
            Verdict(
                f"{case['case']}: the busier one's share",
                share,
                "the other process",
                1.0,
                share,
                min(shares),
                max(shares),
                "at most",
                case["share_bar"],
                "x",
            )
        )
    return result


def shown(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{value / 1e6:,.2f} MB"
    if unit == "x":
        return f"{value:.2f}"
    micro = value * 1e6
    if micro >= 1e4:
        return f"{micro / 1000:,.1f} ms"
    return f"{micro:.3f} us" if micro < 10 else f"{micro:,.1f} us"


def print_case(case: dict[str, Any]) -> None:
    for verdict in verdicts(case):
        print(
            f"{verdict.case[:58]:58} {shown(verdict.ours, verdict.unit):>12}"
            f"  {verdict.rival[:34]:34} {shown(verdict.theirs, verdict.unit):>12}"
            f" {verdict.ratio:8.2f}x {verdict.asked:>9} {verdict.word}",
            flush=True,
        )
    for name, why in case.get("without", {}).items():
        print(f"{case['case'][:58]:58} {'':12}  {name}: not measured: {why}", flush=True)


def write(name: str, results: dict[str, Any], part: bool) -> None:
    """A run of a part of the cases does not replace the figures of all of them."""
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / (f"{name}-part.json" if part else f"{name}.json")
    path.write_text(json.dumps(results, indent=1) + "\n")
    counted = [v.met for case in results["cases"] for v in verdicts(case) if v.met is not None]
    print(f"\n{sum(counted)} of {len(counted)} bars met; written: {path}")
    for rival, why in results["missing"].items():
        print(f"not there: {rival}: {why}")
