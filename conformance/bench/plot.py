"""The picture of a run: one bar a row, the ratio of ours, everything on, to etcd, everything off; as SVG, in any light.

What this is: a function from the figures of a run to the text of an SVG file, which stands by itself: colours follow the reader's light
or dark setting, text is text. Where less is better, ours is ahead left of the line at 1; where more is, right of it. The short marks
are the bars we set ourselves (a row beyond its mark has a colour of its own), thin lines the spread over the rounds.
"""

from html import escape

import report

WIDTH, LEFT, RIGHT, ROW, BAR = 1000, 340, 200, 26, 14
PLOT = WIDTH - LEFT - RIGHT
STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif; fill: #24292f }
.title { font-size: 17px; font-weight: 600 } .panel { font-size: 14px; font-weight: 600 } .small { font-size: 11.5px; fill: #57606a }
.value { font-variant-numeric: tabular-nums } .page { fill: #ffffff } .grid { stroke: #d0d7de } .one { stroke: #57606a; stroke-width: 1.5 }
.better { fill: #1a7f5a } .missed { fill: #bf8700 } .worse { fill: #c4502b } .spread { stroke: #24292f; opacity: .55 } .mark { stroke: #8250df; stroke-width: 2.5 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .small { fill: #9198a1 } .page { fill: #0d1117 } .grid { stroke: #30363d } .one { stroke: #9198a1 }
.better { fill: #3fb68b } .missed { fill: #d4a72c } .worse { fill: #f0703e } .spread { stroke: #e6edf3 } .mark { stroke: #bc8cff }
}
"""


class Panel:
    """A group of bars: which figure of which rows, and what its title says."""

    def __init__(self, title, hint, rows, figure, unit):
        self.title, self.hint, self.figure, self.unit = title, hint, figure, unit
        self.rows = [row for row in rows if report.ratio(row, figure) is not None]
        highest = max((report.ratio(row, figure) for row in self.rows), default=1)
        # Beyond three times a bar is cut and only its number tells.
        self.limit = min(3.0, max(1.25, highest * 1.08))

    def x(self, value):
        return LEFT + PLOT * min(value, self.limit) / self.limit

    def height(self):
        return 58 + ROW * len(self.rows)


def panels(rows):
    """The panels of a run; those without rows are left out."""
    load = [row for row in rows if row["section"] == "load"]
    store = [row for row in rows if row["section"] == "store"]
    every = [
        Panel("Server processor time for each request or event", "less is better", load, "cpu_us", "µs"),
        Panel("A store at rest", "less is better", store, "value", None),
        Panel("99th percentile of the time to an answer", "less is better", load, "p99_ms", "ms"),
        Panel("Requests or events a second", "more is better", load, "rate", "/s"),
    ]
    return [panel for panel in every if panel.rows]


def line(kind, x1, y1, x2, y2):
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def text(x, y, words, kind="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def drawn_row(panel, row, top):
    """One bar with its name, marks and numbers."""
    found, middle = report.ratios(row, panel.figure), report.ratio(row, panel.figure)
    y, unit = top + ROW / 2, panel.unit or row["unit"]
    missed = "missed" if report.is_met(row, panel.figure) is False else "better"
    kind = "worse" if report.is_behind(row, panel.figure) else missed
    own, other = report.both(row, panel.figure)
    parts = [
        text(LEFT - 10, y + 4.5, row["name"], anchor="end"),
        f'<rect class="{kind}" x="{LEFT}" y="{y - BAR / 2:.1f}" width="{panel.x(middle) - LEFT:.1f}" height="{BAR}" rx="2"/>',
        text(LEFT + PLOT + 8, y + 4.5, f"{middle:.2f}", "value"),
        text(LEFT + PLOT + 46, y + 4, f"{own} : {other} {unit}", "small value"),
    ]
    if len(found) > 1:
        parts.append(line("spread", panel.x(found[0]), y, panel.x(found[-1]), y))
    if panel.figure in row["bars"]:
        mark = panel.x(row["bars"][panel.figure])
        parts.append(line("mark", mark, y - ROW / 2 + 2, mark, y + ROW / 2 - 2))
    return parts


def drawn(panel, top):
    """A panel: title, grid, bars."""
    first, last = top + 34, top + 34 + ROW * len(panel.rows)
    parts = [text(16, top + 18, panel.title, "panel"), text(LEFT + PLOT + 8, top + 18, panel.hint, "small")]
    step = 0.25 if panel.limit <= 1.6 else 0.5
    for number in range(int(panel.limit / step) + 1):
        at = number * step
        parts.append(line("one" if at == 1 else "grid", panel.x(at), first - 4, panel.x(at), last + 2))
        parts.append(text(panel.x(at), last + 15, f"{at:g}", "small", "middle"))
    for index, row in enumerate(panel.rows):
        parts += drawn_row(panel, row, first + index * ROW)
    return parts


def svg(results):
    """The whole picture."""
    about, chosen = results["about"], panels(results["rows"])
    circumstances = dict(about["facts"])
    top, parts = 74, []
    for panel in chosen:
        parts += drawn(panel, top)
        top += panel.height() + 14
    ours, etcd = circumstances["ours"].split(" (")[0], circumstances["etcd"].split(":")[0]
    rounds = f"{about['rounds']} round{'s' if about['rounds'] > 1 else ''}"
    head = [
        text(16, 28, "Ours with everything on, over etcd with everything off", "title"),
        text(16, 47, f"{ours} (mutual TLS, access control, sealed) and {etcd} (clear text), {about['date']}, {rounds}", "small"),
        text(16, 64, "Line at 1: equal to etcd. Violet mark: the bar we set ourselves; yellow misses it, red is behind etcd. Numbers: ratio, then ours : etcd.", "small"),
    ]
    body = "\n".join([*head, *parts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" role="img" '
        f'aria-label="Ratios of ours to etcd">\n<style>{STYLE}</style>\n<rect class="page" width="{WIDTH}" height="{top}"/>\n{body}\n</svg>\n'
    )
