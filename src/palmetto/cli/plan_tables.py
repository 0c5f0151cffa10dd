"""Prints plans: one in full, many as a ranking, one step over more and more pods."""

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from palmetto.pathways.sweep import Outcome


def print_plan(plan: dict[str, Any]) -> None:
    """Print all of a plan, the paper's measurements beside it if the set-up is the paper's."""
    machine, setting, memory, times = plan["machine"], plan["setting"], plan["memory"], plan["times"]
    paper, console = plan["paper"], _console()
    of_formula = f"{plan['flops'] / plan['expected_flops']:.1%} of our formula's"
    rows = [
        ("parameters", _short(plan["parameters"]), "", ""),
        ("chips", f"{machine['chips']:,}", "", f"{machine['hosts']:,} hosts; mesh {_mesh(plan)}"),
        ("batch", f"{setting['batch']:,}", "", _how(setting)),
        (
            "memory a chip",
            _gib(memory["total"]),
            "",
            f"of {_gib(memory['capacity'])}" if memory["capacity"] else "",
        ),
        ("  arguments", _gib(memory["arguments"]), "", "weights, moments, batch"),
        ("  temporaries", _gib(memory["temporaries"]), "", ""),
        ("FLOPs a chip", _short(plan["flops"]), "", of_formula),
    ]
    if times:
        cycles = f"{times['cycles']:,} cycles by the compiler, loops counted"
        measured = [_time(paper["step"]), f"{paper['mfu']:.1%}", f"{paper['hfu']:.1%}"] if paper else [""] * 3
        dcn, source = times["dcn_bits_per_second"], times["dcn_source"]
        network = (
            f"nothing overlapping it, {dcn / 1e9:.4g} Gbit/s a host ({source})"
            if machine["pods"] > 1
            else "one pod"
        )
        rows += [
            ("step, estimated", _time(times["step"]), measured[0], "the three below"),
            ("  computing", _time(times["computing"]), "", cycles),
            (
                "  waiting in a pod",
                _time(times["waiting"]),
                "",
                "collectives nothing overlaps, links at their most",
            ),
            ("  between pods", _time(times["between_pods"]), "", network),
            ("MFU", f"{times['mfu']:.1%}", measured[1], ""),
            ("HFU", f"{times['hfu']:.1%}", measured[2], ""),
        ]
    pair = f"{_short(paper['bytes_per_host_pair'])}B" if paper else ""
    note = "a step, each way, between pods"
    rows += [("between two hosts", f"{_short(plan['bytes_per_host_pair'])}B", pair, note)]
    if times and machine["pods"] > 1:
        speed = f"{machine['pods'] * _share(times):.2f}x"
        measured_speed = f"{paper['speed_of_two_pods']}x" if paper else ""
        rows += [("speed of the pods", speed, measured_speed, "over one, which has nobody to wait for")]
    name = f"{setting['model']['name']} on {machine['pods']} x {machine['topology']}, one training step"
    headings = ["", "plan", *(["paper"] if paper else []), ""]
    shown = [row if paper else row[:2] + row[3:] for row in rows]
    console.print(_table(name, headings, shown, left=(0, len(headings) - 1)))
    lines = [
        (
            " x ".join(one["axes"]),
            one["kind"],
            f"{one['count']:,}",
            f"{_short(one['array_bytes'])}B",
            f"{_short(one['sent_bytes'])}B",
            "waited for" if one["blocking"] else "beside computing",
        )
        for one in plan["collectives"]
    ]
    headings = ["mesh axes", "kind", "count", "arrays", "sent", ""]
    if lines:
        console.print(
            _table("Collectives of one step, as one chip sees them", headings, lines, left=(0, 1, 5))
        )
    for what in ("uncounted_kernels", "unknown_loops"):
        if plan[what]:
            console.print(f"FLOPs and cycles lack ({what}): {', '.join(plan[what])}.", highlight=False)


def print_ranking(outcomes: Sequence[Outcome]) -> None:
    """Print what fits, the fastest first, then why the others do not."""
    console = _console()
    rows = []
    for one in sorted(outcomes, key=lambda one: one.cost):
        if plan := one.plan:
            times, batch = plan["times"], one.setting.batch
            speed = (
                (_time(times["step"]), f"{times['mfu']:.1%}", f"{batch / times['step']:,.1f}")
                if times
                else ()
            )
            policy, memory = one.setting.execution.rematerialisation, _gib(plan["memory"]["total"])
            share = f"{plan['flops'] / plan['expected_flops']:.1%}"
            rows.append((_mesh(plan), policy, f"{batch:,}", memory, share, *speed))
    headings = [
        "mesh",
        "rematerialisation",
        "batch",
        "memory",
        "FLOPs of formula",
        "step",
        "MFU",
        "sequences/s",
    ]
    title = f"{len(rows)} of {len(outcomes)} candidates fit, the fastest a sequence first"
    console.print(_table(title, headings, rows, left=(0, 1)))
    for one in outcomes:
        if one.plan is None:
            mesh = f"data={one.setting.mesh.data},model={one.setting.mesh.model}"
            how = f"{mesh}, batch {one.setting.batch}, {one.setting.execution.rematerialisation}"
            console.print(f"{how}: {one.refusal}", highlight=False, markup=False, soft_wrap=True)


def print_scaling(outcomes: Sequence[Outcome]) -> None:
    """Print how much faster more pods are, each with the same share of the batch."""
    console, rows = _console(), []
    for one in outcomes:
        pods, plan = one.setting.mesh.pod, one.plan
        times = plan["times"] if plan else None
        if plan is None or times is None:
            console.print(
                f"{pods} pods: {one.refusal or 'no estimate of time'}", highlight=False, soft_wrap=True
            )
            continue
        share = _share(times)
        rows.append(
            (
                str(pods),
                f"{plan['machine']['chips']:,}",
                f"{one.setting.batch:,}",
                _time(times["computing"] + times["waiting"]),
                _time(times["between_pods"]),
                f"{_short(plan['bytes_per_host_pair'])}B",
                _time(times["step"]),
                f"{pods * share:.2f}x",
                f"{share:.1%}",
                f"{plan['paper']['speed_of_two_pods']}x" if plan["paper"] else "",
            )
        )
    headings = [
        "pods",
        "chips",
        "batch",
        "in a pod",
        "between pods",
        "host pair",
        "step",
        "speed",
        "of perfect",
    ]
    console.print(_table("Weak scaling: the batch grows with the pods", [*headings, "paper"], rows))
    if times := next((one.plan["times"] for one in outcomes if one.plan), None):
        dcn, source = times["dcn_bits_per_second"] or 0.0, times["dcn_source"]
        console.print(
            f"Between pods: {dcn / 1e9:.4g} Gbit/s a host ({source}), nothing overlapping it.",
            highlight=False,
        )


def _table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = ()
) -> Table:
    table = Table(title=title)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number in left else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _console() -> Console:
    # A pipe has no width of its own, and a table cut to 80 columns would lose figures.
    return Console(width=None if sys.stdout.isatty() else 140)


def _mesh(plan: dict[str, Any]) -> str:
    return " x ".join(f"{axis} {ways}" for axis, ways in plan["mesh"].items())


def _how(setting: dict[str, Any]) -> str:
    model, execution, parts = setting["model"], setting["execution"], setting["microbatches"]
    divided = f", in {parts} parts" if parts > 1 else ""
    return (
        f"sequences of {model['sequence_length']:,}{divided}; rematerialisation {execution['rematerialisation']}, "
        f"attention {execution['attention']}, {model['compute_dtype']}"
    )


def _share(times: dict[str, Any]) -> float:
    """Return the speed against a network that takes no time; what one pod alone is compiled to may differ in more."""
    return 1.0 - float(times["between_pods"] / times["step"])


def _gib(size: float) -> str:
    return f"{size / 2**30:.3g} GiB"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _short(number: float) -> str:
    """Return a number with a prefix of a thousand, a million and so on."""
    prefixes = iter(("", "k", "M", "G", "T", "P"))
    prefix = next(prefixes)
    while number >= 1000:
        number, prefix = number / 1000, next(prefixes)
    return f"{number:.4g} {prefix}"
