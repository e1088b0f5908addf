"""`rsir claims`: what the papers say, and what the records say to it."""

import json
from typing import Annotated

from rsir.cli.options import Results, option


def claims_command(
    as_json: Annotated[bool, option("Print one object a claim.", "--json")] = False,
    results: Results = None,
) -> None:
    """Every claim and its verdict, pooled over the data sets with fresh runs.

    The gain has its 95 % interval over images and seeds; † marks a data set
    whose runs are stale, which takes no part.
    """
    from rsir.experiments import tables

    found = tables.claims_table(tables.load(results), results)
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return
    heads = ["claim", "system", "verdict", "gain in mR", "sets", "images", "seeds"]
    rows = [heads]
    for one in found:
        counts = (str(one[name] or "–") for name in ("sets", "images", "seeds"))
        verdict = one["verdict"] or "–"
        rows.append([one["id"], one["system"], verdict, _gain(one), *counts])
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row, one in zip(rows, [None, *found]):
        print("  ".join(map(str.ljust, row, widths)).rstrip())
        for name, facts in (one or {"per_set": {}})["per_set"].items():
            print(f"    {name}: {_set(facts)}")
        if one and one["why"]:
            print(f"    {one['why']}")
    verdicts = [one["verdict"] for one in found if one["verdict"]]
    said = (f"{word} {verdicts.count(word)}" for word in dict.fromkeys(verdicts))
    print(f"{len(found)} claims, {len(verdicts)} decided: {', '.join(said) or 'none'}")


def _gain(facts: dict) -> str:
    """`+0.85 [-0.28, +1.98]`, or a dash."""
    if facts.get("gain") is None:
        return "–"
    return "{gain:+.2f} [{low:+.2f}, {high:+.2f}]".format(**facts)


def _set(facts: dict | list) -> str:
    """A data set alone: its gain, or the rows that are held to a number."""
    if isinstance(facts, list):
        line = "{row} {mR:.2f}, {verdict}"
        return "; ".join(line.format(**x) + " †" * x["stale"] for x in facts)
    if "faster" in facts:
        return "{faster:.1f} times as fast, {verdict}".format(**facts)
    dagger = f" † {facts['why']}" if facts["why"] else ""
    if "gain" not in facts:
        return facts["why"]
    seeds = (
        f"{facts['seeds']} seeds" if facts["seeds"] > 1 else "one seed: images alone"
    )
    return f"{_gain(facts)}, {facts['images']} images, {seeds}{dagger}"
