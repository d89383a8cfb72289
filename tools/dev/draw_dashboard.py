"""Draws a Grafana dashboard from what its own queries return: panels, units and legends as they
stand in the JSON. It is no screenshot of Grafana, which is not needed for it.

    python3 draw_dashboard.py URL-OF-PROMETHEUS SECONDS OUT.svg    of the last seconds

Standard library only.
"""

import json
import math
import sys
import time
import urllib.parse
import urllib.request
from html import escape

import house

DASHBOARD = house.ROOT / "deploy" / "grafana" / "orrery.json"
RATE_WINDOW_S = 60  # $__rate_interval at a scrape every 15 s
COLUMN, LINE, GAP = 50, 24, 6  # pixels of a step of the grid, and between panels
POINTS_MAX = 90  # of one line: more cannot be told apart
LEGENDS_MAX = 6
COLOURS = ("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#b877d9", "#5794f2", "#fade2a",
           "#96d98d", "#ffb357", "#ca95e5", "#37872d")
BACK, PANEL, FAINT, TEXT = "#111217", "#181b1f", "#2c3235", "#ccccdc"


def panels(board):
    """Those that show something."""
    return [one for one in board["panels"] if one["type"] != "row"]


def queries(panel, shorter=1):
    """[(query, legend)] for all installations. `shorter`: how much quicker Prometheus scrapes than
    the rate's window is meant for."""
    window = f"{RATE_WINDOW_S * 1000 // shorter}ms"
    return [(one["expr"].replace("$__rate_interval", window).replace("$installation", ".*"),
             one["legendFormat"]) for one in panel["targets"]]


def in_unit(value, unit):
    """A number as a person reads it."""
    if unit in ("bytes", "Bps"):
        for name in ("B", "KiB", "MiB", "GiB", "TiB"):
            if abs(value) < 1024 or name == "TiB":
                return f"{value:.3g} {name}" + ("/s" if unit == "Bps" else "")
            value /= 1024
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "s":
        return f"{value:.3g} s" if abs(value) >= 1 or value == 0 else f"{1000 * value:.3g} ms"
    whole = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return whole + (" /s" if unit == "reqps" else "")


def legend_of(pattern, labels):
    for name, value in labels.items():
        pattern = pattern.replace("{{" + name + "}}", value)
    return pattern


def text(x, y, words, size=11, colour=TEXT, anchor="start"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{colour}" '
            f'text-anchor="{anchor}">{escape(words)}</text>')


def thinned(points):
    step = math.ceil(len(points) / POINTS_MAX)
    return points[::step]


def stacked(lines):
    """The same lines, each on top of those before it."""
    below = {}
    made = []
    for name, points in lines:
        made.append((name, [(at, value + below.get(at, 0)) for at, value in points]))
        for at, value in points:
            below[at] = below.get(at, 0) + value
    return made


def graph(panel, lines, box, span):
    """A time series: lines, three marks of the scale, a legend."""
    x, y, width, height = box
    unit = panel["fieldConfig"]["defaults"]["unit"]
    custom = panel["fieldConfig"]["defaults"]["custom"]
    if custom["stacking"]["mode"] == "normal":
        lines = stacked(lines)
    left, top, right, bottom = x + 52, y + 28, x + width - 10, y + height - 24
    most = max((value for _, points in lines for _, value in points), default=0) or 1
    shown = []
    for part in (0, 0.5, 1):
        level = bottom - part * (bottom - top)
        shown.append(f'<path d="M{left} {level:.0f}H{right}" stroke="{FAINT}"/>')
        shown.append(text(left - 5, level + 4, in_unit(part * most, unit), 9, "#8e8e9e", "end"))
    begin, end = span

    def place(point):
        return (left + (point[0] - begin) / (end - begin) * (right - left),
                bottom - point[1] / most * (bottom - top))

    for number, (_, points) in reversed(list(enumerate(lines))):
        spots = [place(point) for point in thinned(points)]
        path = f"M{spots[0][0]:.1f} {spots[0][1]:.1f}"
        for spot in spots[1:]:
            if custom["lineInterpolation"] == "stepAfter":
                path += f"H{spot[0]:.1f}V{spot[1]:.1f}"
            else:
                path += f"L{spot[0]:.1f} {spot[1]:.1f}"
        colour = COLOURS[number % len(COLOURS)]
        if custom["fillOpacity"] > 20:
            shown.append(f'<path d="{path}V{bottom}H{spots[0][0]:.1f}Z" fill="{colour}" '
                         f'fill-opacity="{custom["fillOpacity"] / 100}"/>')
        shown.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
    at = x + 10
    for number, (name, _) in enumerate(lines[:LEGENDS_MAX]):
        wide = 20 + 5.6 * len(name)
        if at + wide > x + width - 20:
            shown.append(text(at, y + height - 8, "…", 10))
            break
        shown.append(f'<path d="M{at:.0f} {y + height - 11}h9" '
                     f'stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="3"/>')
        shown.append(text(at + 13, y + height - 8, name, 10))
        at += wide
    return shown


def figure(panel, lines, box):
    """A single number, the last one; red when it should be 0 and is not."""
    x, y, width, height = box
    defaults = panel["fieldConfig"]["defaults"]
    last = lines[0][1][-1][1] if lines else 0
    is_bad = "thresholds" in defaults and last > 0
    colour = "#f2495c" if is_bad else ("#73bf69" if "thresholds" in defaults else "#8ab8ff")
    return [text(x + width / 2, y + height / 2 + 22, in_unit(last, defaults["unit"]), 34, colour,
                 "middle")]


def draw(board, ask, span, shorter=1):
    """The dashboard as SVG. `ask(query)`: [(labels, [(time, value)])] of the span."""
    width = 24 * COLUMN + GAP
    height = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in board["panels"]) * LINE + GAP
    shown = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
             f'font-family="sans-serif"><rect width="{width}" height="{height}" fill="{BACK}"/>']
    for one in board["panels"]:
        where = one["gridPos"]
        box = (where["x"] * COLUMN + GAP, where["y"] * LINE + GAP, where["w"] * COLUMN - GAP,
               where["h"] * LINE - GAP)
        if one["type"] == "row":
            shown.append(text(box[0] + 4, box[1] + 14, "▾ " + one["title"], 13))
            continue
        shown.append(f'<rect x="{box[0]}" y="{box[1]}" width="{box[2]}" height="{box[3]}" rx="3" '
                     f'fill="{PANEL}" stroke="{FAINT}"/>')
        shown.append(text(box[0] + 10, box[1] + 18, one["title"], 12))
        lines = [(legend_of(legend, labels), points)
                 for query, legend in queries(one, shorter) for labels, points in ask(query)]
        shown += figure(one, lines, box) if one["type"] == "stat" else graph(one, lines, box, span)
    return "\n".join([*shown, "</svg>"]) + "\n"


def main():
    url, seconds, file = sys.argv[1:]
    end = time.time()
    span = (end - float(seconds), end)

    def ask(query):
        words = urllib.parse.urlencode({"query": query, "start": span[0], "end": span[1],
                                        "step": (span[1] - span[0]) / POINTS_MAX})
        with urllib.request.urlopen(f"{url}/api/v1/query_range?{words}", timeout=60) as reply:
            found = json.load(reply)["data"]["result"]
        lines = [(one["metric"], [(at, float(value)) for at, value in one["values"]
                                  if math.isfinite(float(value))]) for one in found]
        return [line for line in lines if line[1]]
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    with open(file, "w", encoding="utf-8") as out:
        out.write(draw(board, ask, span))


if __name__ == "__main__":
    main()
