"""The table: medians, the spread of the ratios, and the circumstances, as markdown.

What this is: turns the samples of all rounds into the text that docs/benchmarks.md holds between its two marks. Says plainly
where we are slower: a row whose median ratio is below 1 says **behind**.
"""

import statistics

BEGIN = "<!-- figures: begin (written by conformance/bench/run) -->"
END = "<!-- figures: end -->"


def short(number):
    """A number with three digits that matter, thousands separated."""
    if number is None:
        return "–"
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def middle(samples, field):
    """The median of one figure over the rounds, or None where the row has no such figure."""
    values = [s[field] for s in samples if s[field] is not None]
    return statistics.median(values) if values else None


def table(rows, samples):
    """`samples[row.name][side]` is a list, one figure set a round; the sides are `ours` and `etcd`."""
    lines = [
        "| what | requests/s ours | etcd | ratio median (min–max) | p50 ms ours | etcd | p99 ms ours | etcd | CPU µs/request ours | etcd | RSS MiB ours | etcd | |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    behind = 0
    for row in rows:
        ours, etcd = samples[row.name]["ours"], samples[row.name]["etcd"]
        if not ours or not etcd:
            lines.append(f"| {row.name} | – | – | – | – | – | – | – | – | – | – | – | **not measured**: the tool failed |")
            continue
        ratios = sorted(a["rate"] / b["rate"] for a, b in zip(ours, etcd))
        ratio = statistics.median(ratios)
        behind += ratio < 1
        cells = [short(middle(ours, "rate")), short(middle(etcd, "rate")), f"{ratio:.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})"]
        for field in ("p50_ms", "p99_ms", "cpu_us", "rss_mib"):
            cells += [short(middle(ours, field)), short(middle(etcd, field))]
        unit = "" if row.unit == "requests" else f"counts {row.unit}"
        note = "; ".join(filter(None, ("**behind**" if ratio < 1 else "", unit)))
        lines.append(f"| {row.name} | " + " | ".join(cells) + f" | {note} |")
    return lines, behind


def document(rows, samples, about):
    """The whole text between the marks."""
    lines, behind = table(rows, samples)
    head = [f"{about['date']}, {about['rounds']} rounds, turns of {about['times']} times the short size.", ""]
    head += [f"- {name}: {value}" for name, value in about["facts"]]
    measured = sum(1 for row in rows if samples[row.name]["ours"] and samples[row.name]["etcd"])
    head += ["", f"Ahead or level in {measured - behind} rows, behind in {behind}.", ""]
    return "\n".join(head + lines) + "\n"


def place(path, text):
    """Puts the text between the marks of a file that has them."""
    whole = open(path, encoding="utf-8").read()
    before, rest = whole.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"{before}{BEGIN}\n\n{text}\n{END}{after}")
