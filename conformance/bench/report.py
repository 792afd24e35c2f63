"""The tables: medians, the spread of the ratios, the bars, and the circumstances, as markdown.

What this is: turns the figures of all rounds into the text that docs/benchmarks.md holds between its two marks. A ratio is ours over
etcd's, formed within each round. Says plainly where we are slower or dearer: **behind**; and where a bar of ours is **missed**.
"""

import statistics

BEGIN = "<!-- figures: begin (written by conformance/bench/run) -->"
END = "<!-- figures: end -->"
# Figures of which more is better; of all others less is.
MORE_IS_BETTER = {"rate"}


def short(number):
    """A number with three digits that matter, thousands separated."""
    if number is None:
        return "–"
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def middle(samples, figure):
    """The median of one figure over the rounds, or None where the row has no such figure."""
    values = [sample[figure] for sample in samples if sample.get(figure) is not None]
    return statistics.median(values) if values else None


def ratios(row, figure):
    """Ours over etcd's in each round, sorted."""
    pairs = [(own.get(figure), other.get(figure)) for own, other in zip(row["ours"], row["etcd"])]
    return sorted(own / other for own, other in pairs if own is not None and other)


def ratio(row, figure):
    """The median of the ratios, or None."""
    found = ratios(row, figure)
    return statistics.median(found) if found else None


def spread(row, figure):
    """A cell: the median ratio and how far the rounds are apart."""
    found = ratios(row, figure)
    if not found:
        return "–"
    apart = f" ({found[0]:.2f}–{found[-1]:.2f})" if len(found) > 1 else ""
    return f"{statistics.median(found):.2f}{apart}"


def is_met(row, figure):
    """Whether the row's bar for this figure is met; None where there is no bar or no figure."""
    bar, found = row["bars"].get(figure), ratio(row, figure)
    return None if bar is None or found is None else found <= bar


def is_behind(row, figure):
    """Whether etcd is better."""
    found = ratio(row, figure)
    return found is not None and (found < 1 if figure in MORE_IS_BETTER else found > 1)


def verdict(row, figures):
    """The last cell: what to know of this row. `figures` are those with the word for each."""
    words = [f"**behind** in {word}" for figure, word in figures.items() if is_behind(row, figure)]
    words += [f"bar {'met' if is_met(row, figure) else '**missed**'}" for figure in row["bars"] if is_met(row, figure) is not None]
    return "; ".join(words)


def bar(row, figure):
    return f"≤ {row['bars'][figure]}" if figure in row["bars"] else ""


def both(row, figure):
    """Two cells: ours and etcd's."""
    return [short(middle(row["ours"], figure)), short(middle(row["etcd"], figure))]


def table(head, rows, cells):
    """A table, or nothing where there are no rows."""
    if not rows:
        return []
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 2) + "---|"]
    for row in rows:
        if row["ours"]:
            lines.append(f"| {row['name']} | " + " | ".join(cells(row)) + " |")
        else:
            lines.append(f"| {row['name']} | " + "– | " * (len(head) - 2) + "**not measured**: a tool or server failed |")
    return [*lines, ""]


def load_table(rows):
    """Our loader: cost first, since cores are what a machine has."""
    head = ["what", "CPU µs ours", "etcd", "ratio (min–max)", "bar", "per second ours", "etcd", "ratio", "p50 ms ours", "etcd", "p99 ms ours", "etcd", ""]
    words = {"cpu_us": "CPU", "rate": "rate", "p99_ms": "p99"}

    def cells(row):
        times = [*both(row, "p50_ms"), *both(row, "p99_ms")]
        return [*both(row, "cpu_us"), spread(row, "cpu_us"), bar(row, "cpu_us"), *both(row, "rate"), spread(row, "rate"), *times, verdict(row, words)]

    return table(head, rows, cells)


def store_table(rows):
    """Stores at rest."""
    head = ["what", "unit", "ours", "etcd", "ratio (min–max)", "bar", ""]
    return table(head, rows, lambda row: [row["unit"], *both(row, "value"), spread(row, "value"), bar(row, "value"), verdict(row, {"value": "this"})])


def tool_table(rows):
    """etcd's tool."""
    head = ["what", "per second ours", "etcd", "ratio (min–max)", "p50 ms ours", "etcd", "p99 ms ours", "etcd", "CPU µs ours", "etcd", "RSS MiB ours", "etcd", ""]
    words = {"rate": "rate", "cpu_us": "CPU"}

    def cells(row):
        rest = [cell for figure in ("p50_ms", "p99_ms", "cpu_us", "rss_mib") for cell in both(row, figure)]
        return [*both(row, "rate"), spread(row, "rate"), *rest, verdict(row, words)]

    return table(head, rows, cells)


def tools_compared(load, tool):
    """How much lighter our loader is than etcd's tool, on the same server with as many clients."""
    compared = (
        ("a put", "put, 10 connections, 100 clients", "put, 10 connections, 100 clients"),
        ("a range", "range, one key, linearizable, 10/100", "range, one key, linearizable, 10/100"),
    )
    lines = []
    for side, place in (("etcd", "the real etcd in clear text"), ("ours", "ours with mutual TLS")):
        words = []
        for word, own, other in compared:
            light = next((middle(row[side], "tool_cpu_us") for row in load if row["name"] == own), None)
            heavy = next((middle(row[side], "tool_cpu_us") for row in tool if row["name"] == other), None)
            if light and heavy:
                words.append(f"{short(light)} µs {word} where etcd's tool takes {short(heavy)} ({heavy / light:.1f} times as much)")
        if words:
            lines.append(f"Against {place} our loader itself takes {', '.join(words)}.")
    return [" ".join(lines), ""] if lines else []


def summary(rows):
    """One line: bars and rows behind."""
    bars = [is_met(row, figure) for row in rows for figure in row["bars"] if is_met(row, figure) is not None]
    main = {"load": "cpu_us", "store": "value", "tool": "rate"}
    behind = sum(is_behind(row, main[row["section"]]) for row in rows)
    return f"**{bars.count(True)} of {len(bars)} bars met.** Of {len(rows)} rows, {behind} show etcd ahead in their first figure."


def document(results, picture=None):
    """The whole text between the marks."""
    about, rows = results["about"], results["rows"]
    load, store, tool = ([row for row in rows if row["section"] == section] for section in ("load", "store", "tool"))
    lines = [f"{about['date']}, rounds: {about['rounds']}, turns of {about['times']} times the short size, {about['seconds'] / 60:.0f} minutes.", ""]
    lines += [f"- {name}: {value}" for name, value in about["facts"]]
    lines += ["", summary(rows), ""]
    if picture:
        lines += [f"![Ratios of ours, all on, to etcd, all off]({picture})", ""]
    if load:
        lines += ["### Cost and speed, with our loader", "", *load_table(load), *tools_compared(load, tool)]
    if store:
        lines += ["### A store at rest", "", *store_table(store)]
    if tool:
        lines += ["### Through etcd's own benchmark tool", "", *tool_table(tool)]
    return "\n".join(lines).rstrip() + "\n"


def place(path, text, begin=BEGIN, end=END):
    """Puts the text between the marks of a file that has them."""
    with open(path, encoding="utf-8") as file:
        whole = file.read()
    before, rest = whole.split(begin, 1)
    after = rest.split(end, 1)[1]
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"{before}{begin}\n\n{text}\n{end}{after}")
