"""`python -m bench.vllm`: vLLM bare, behind ours, and behind Ray's own application.

Prints Markdown: the hardware, medians with their range over the rounds, ratios and differences
within one run, and the gates. The comparisons are `anynode bench compare`'s, and can be repeated by
hand from the files it is given.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from pathlib import Path

from bench.models import ROOT
from bench.vllm import files, table
from bench.vllm.arms import ARMS
from inference.bench.compare.verdict import EXIT_CODES
from inference.bench.report import files as reports
from inference.bench.report import sections
from inference.bench.report.model import Report

AUTOGROUPS = Path("/proc/sys/kernel/sched_autogroup_enabled")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.vllm", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default 5)")
    parser.add_argument("--shape", choices=files.SHAPES, help="one model only")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS, help="beside the bare one")
    parser.add_argument("--output", type=Path, help="prefix of full reports (JSON, HTML, …)")
    arguments = parser.parse_args()
    warn_of_autogroups()
    for shape in [arguments.shape] if arguments.shape else files.SHAPES:
        file = files.write(shape, arguments.arms, arguments.rounds)
        prefix = arguments.output or files.folder(shape) / "report"
        prefix = prefix.with_name(f"{prefix.name}-{shape}")
        interrupted = compare(file, prefix)
        show(shape, reports.read(prefix.with_name(f"{prefix.name}.json")))
        if interrupted:
            sys.exit(130)


def warn_of_autogroups() -> None:
    """vLLM's processes spin while they wait for each other. Linux's automatic groups weigh sessions
    and not threads, and have been seen to keep the client, which has another session, from its
    core for as long as an answer takes: in every arm, now and then.
    """
    if AUTOGROUPS.exists() and AUTOGROUPS.read_text().strip() != "0":
        print(
            "warning: kernel.sched_autogroup_enabled is on, which makes clients of servers that "
            "spin wait; `sysctl kernel.sched_autogroup_enabled=0` while measuring",
            file=sys.stderr,
        )


def compare(file: Path, prefix: Path) -> bool:
    """`anynode bench compare`; whether it was interrupted. Its servers are its own to stop."""
    command = [sys.executable, "-m", "inference.cli.main", "bench", "compare"]
    process = subprocess.Popen(
        [*command, str(file.relative_to(ROOT)), "--output", str(prefix)],
        stdout=subprocess.DEVNULL,
        cwd=ROOT,
    )
    interrupts: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))  # it hears it too
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    if process.wait() not in EXIT_CODES.values():
        sys.exit(process.returncode)
    return bool(interrupts)


def show(shape: str, report: Report) -> None:
    """The shape's table and gates."""
    print(f"## vLLM, bare and served: {files.SHAPES[shape].title}\n")
    rounds = report.comparison.rounds if report.comparison else 0
    print(
        f"{report.created_at:%Y-%m-%d}, {sections.machine(report.environment)}; {rounds} rounds\n"
    )
    for row in (table.HEADINGS, ["---"] * len(table.HEADINGS), *table.rows(report)):
        print("| " + " | ".join(row) + " |")
    for line in table.gates(report):
        print(f"\n{line}")
    print(flush=True)


if __name__ == "__main__":
    main()
