# SPDX-License-Identifier: MIT
"""Writes docs/performance/results.md and its pictures from what was measured last.

Reads build/bench/graph.json, map.json and peers.json, as far as they are there: no figure in the
documentation is typed by hand.

    python bench/report.py [--to docs/performance]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import figures
import picture
from figures import Verdict

SUITES = [
    ("graph", "The graph against etcher, in Python", "make bench"),
    ("map", "The hot table, maps, reads of the graph and counters in C++", "make bench"),
    ("peers", "graven.Map against its peers, in Python", "make bench-peers"),
]


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def judged(results: dict[str, Any]) -> list[Verdict]:
    return [v for case in results["cases"] for v in figures.verdicts(case)]


def verdict_row(verdict: Verdict) -> list[str]:
    return [
        verdict.case,
        figures.shown(verdict.ours, verdict.unit),
        verdict.rival,
        figures.shown(verdict.theirs, verdict.unit),
        f"{verdict.ratio:,.2f}x",
        f"{verdict.least:,.2f}-{verdict.most:,.2f}",
        verdict.asked,
        f"**{verdict.word}**" if verdict.met is False else verdict.word,
    ]


def times_table(results: dict[str, Any]) -> list[str]:
    """Cases down, contestants across: for the suite in which all do the same work."""
    names = ["graven", *(name for name in results["rivals"] if name != "graven")]
    rows = []
    reasons: dict[str, list[str]] = {}
    for case in results["cases"]:
        unit = case["unit"]
        people = {c["name"]: c for c in case["contestants"]}
        rows.append(
            [
                case["case"],
                *(
                    figures.shown(figures.median(people[name]), unit) if name in people else "-"
                    for name in names
                ),
            ]
        )
        for name, why in case["without"].items():
            reasons.setdefault(f"{name}: {why}", []).append(case["case"])
    lines = table(["case", *names], rows)
    lines += [f"- {why} ({'; '.join(cases)})" for why, cases in sorted(reasons.items())]
    return [*lines, ""]


def against_picture(title: str, results: dict[str, Any]) -> str:
    bars = []
    for verdict in judged(results):
        if verdict.met is None:
            continue
        ratio, bar = verdict.ratio, verdict.bar
        value = ratio / bar if verdict.kind == "at least" else bar / ratio
        words = f"{ratio:,.2f}x, target {verdict.asked}, against {verdict.rival[:34]}"
        colour = picture.OURS if verdict.met else picture.SHORT
        bars.append(picture.Bar(verdict.case[:62], value, words, colour))
    note = "right of the line: better than the target, left of it: worse; logarithmic"
    return picture.against_bars(title, bars, note) if bars else ""


def peers_picture(title: str, results: dict[str, Any]) -> str:
    groups = []
    for case in results["cases"]:
        people = sorted(case["contestants"], key=figures.median)
        bars = [
            picture.Bar(
                person["name"],
                figures.median(person),
                figures.shown(figures.median(person), case["unit"]),
                picture.OURS if person["role"] == "ours" else picture.THEIRS,
            )
            for person in people
        ]
        groups.append((case["case"], bars))
    note = "time of one operation (or bytes), median of the rounds; shorter is better; logarithmic"
    return picture.panels(title, groups, note)


def suite_text(name: str, title: str, verb: str, results: dict[str, Any]) -> list[str]:
    machine = ", ".join(f"{key}: {value}" for key, value in results["machine"].items())
    rivals = ", ".join(f"{rival} {version}" for rival, version in results["rivals"].items())
    lines = [f"## {title}", "", f"`{verb}`, median of {results['rounds']} rounds.", ""]
    lines += [f"- Machine: {machine}", f"- Measured: {rivals}"]
    lines += [f"- Not there: {rival}: {why}" for rival, why in results["missing"].items()]
    lines += ["", f"![{title}]({name}.svg)", ""]
    verdicts = judged(results)
    counted = [v for v in verdicts if v.met is not None]
    met = sum(v.met is True for v in counted)
    lines += [f"{met} of {len(counted)} cases reach their target.", ""]
    head = ["case", "graven", "compared with", "its figure", "ratio", "of the rounds", "target", ""]
    rows = counted if name == "peers" else verdicts
    lines += table(head, [verdict_row(v) for v in rows]) if rows else []
    if name == "peers":
        lines += ["One operation, or the file:", "", *times_table(results)]
    if results.get("scaling"):
        rows = [
            [row[key] for key in ("case", "small", "large", "figure", "bar")]
            for row in results["scaling"]
        ]
        lines += table(["scaling", "small", "large", "figure", "target"], rows)
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--to", type=Path, default=Path("docs/performance"))
    options = parser.parse_args()
    lines = [
        "# What was measured last",
        "",
        "Written by `make bench-report`; do not edit. How to read it: [README.md](README.md).",
        "",
    ]
    for name, title, verb in SUITES:
        path = figures.OUT / f"{name}.json"
        if not path.exists():
            lines += [f"## {title}", "", f"Not measured yet: `{verb}`.", ""]
            continue
        results = json.loads(path.read_text())
        lines += suite_text(name, title, verb, results)
        draw = peers_picture if name == "peers" else against_picture
        drawing = draw(title, results)
        if drawing:
            (options.to / f"{name}.svg").write_text(drawing)
    (options.to / "results.md").write_text("\n".join(lines).rstrip() + "\n")
    print(f"written: {options.to / 'results.md'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
