"""The picture of a run: lag and answers over time, and above them whatever was done to the workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tests.chaos.evidence import Evidence, Process
from tests.chaos.recoveries import Recovery, recoveries

Place = Callable[[float], float]

_WIDTH, _LANE, _PLOT, _LEFT = 1200, 22, 160, 90


def timeline(evidence: Evidence) -> str:
    """An SVG document."""
    times = [sample.time for sample in evidence.samples] or [0.0]
    began, ended = min(times), max(times)
    scale = (_WIDTH - _LEFT - 20) / max(1.0, ended - began)

    def x(at: float) -> float:
        return round(_LEFT + (min(max(at, began), ended) - began) * scale, 1)

    names = sorted({process.name for process in evidence.processes})
    top = 30
    parts = [
        _text(
            _LEFT,
            18,
            "workers: lives (grey), SIGKILL (red), fault point (orange), SIGSTOP (blue), leave (green), "
            "a run of a killed one taken over (purple)",
        )
    ]
    taken = recoveries(evidence)
    for row, name in enumerate(names):
        y = top + row * _LANE
        parts.append(_text(4, y + 13, name))
        for process in evidence.processes:
            if process.name == name:
                parts += _life(process, x, y)
                parts += [
                    _bar(x(each.back_at), x(each.back_at), y + 13, 6, "#9334e6", _told(each))
                    for each in taken
                    if each.heir == process.pid
                ]
    plot = top + len(names) * _LANE + 20
    for since, until, what in evidence.outages:
        colour = "#f4c7c3" if what == "broker" else "#fde7b0"
        parts.append(
            f'<rect x="{x(since)}" y="{top}" width="{max(1.0, x(until) - x(since)):.1f}" '
            f'height="{plot - top + 2 * _PLOT + 30}" fill="{colour}" opacity="0.6">'
            f"<title>{what} away</title></rect>"
        )
    lags: dict[int, float] = {}
    for sample in evidence.samples:
        second = int(sample.time - began)
        lags[second] = max(lags.get(second, 0.0), sample.lag)
    parts += _curve("lag (records)", lags, plot, x, began, "#444")
    answers = Counter(int(answer.time - began) for answer in evidence.answers)
    per_second = {second: float(answers.get(second, 0)) for second in range(int(ended - began) + 1)}
    parts += _curve("answers a second", per_second, plot + _PLOT + 30, x, began, "#1a73e8")
    height = plot + 2 * _PLOT + 60
    parts.append(_text(_LEFT, height - 8, "0 s"))
    parts.append(_text(_WIDTH - 60, height - 8, f"{ended - began:.0f} s"))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>\n'
        f"{body}\n</svg>\n"
    )


def _told(recovery: Recovery) -> str:
    return f"{recovery.event_id} taken over, {recovery.seconds:.1f} s after the kill"


def _life(process: Process, x: Place, y: int) -> list[str]:
    start, end = x(process.started), x(process.ended)
    parts = [_bar(start, end, y + 5, 8, "#ccc", f"pid {process.pid}")]
    parts += [_bar(x(since), x(until), y + 3, 12, "#4285f4", "SIGSTOP") for since, until in process.pauses]
    if process.killed:
        colour, what = ("#f29900", process.point) if process.point else ("#d93025", "SIGKILL")
        parts.append(_bar(end - 1, end + 1, y, 18, colour, str(what)))
    elif process.asked_to_end:
        parts.append(_bar(end - 1, end + 1, y, 18, "#188038", "leave"))
    return parts


def _curve(name: str, values: dict[int, float], top: int, x: Place, began: float, colour: str) -> list[str]:
    most = max(values.values(), default=0.0) or 1.0
    points = " ".join(
        f"{x(began + second)},{top + _PLOT * (1 - value / most):.1f}"
        for second, value in sorted(values.items())
    )
    return [
        _text(4, top + 10, name),
        _text(4, top + 24, f"most: {most:.0f}"),
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2"/>',
    ]


def _bar(start: float, end: float, y: int, height: int, colour: str, title: str) -> str:
    width = max(1.0, end - start)
    return (
        f'<rect x="{start}" y="{y}" width="{width:.1f}" height="{height}" fill="{colour}">'
        f"<title>{title}</title></rect>"
    )


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x}" y="{y}">{text}</text>'
