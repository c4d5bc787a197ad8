"""The picture: rates of each throughput workload as bars, drawn without a library."""

from collections.abc import Sequence
from html import escape

from benchmarks.ratios import Section, Spread

_WIDTH = 760
_LEFT = 210
_BAR = 18
_GAP = 6
_OURS = "#2f6f8f"
_OTHERS = "#b9c3c9"
_PEERS = ("bare", "stock", "FastStream", "naive", "kafka-agent-bridge")


def picture(sections: Sequence[Section]) -> str:
    """An SVG with one group of bars for each section that has rates; the whiskers are minimum and maximum."""
    parts: list[str] = []
    y = 10
    for section in sections:
        if not section.measures:
            continue
        spreads = {
            label: Spread.of([each.rate for each in measures]) for label, measures in section.measures.items()
        }
        parts.append(f'<text x="10" y="{y + 14}" class="title">{escape(section.title)}</text>')
        y += 26
        scale = (_WIDTH - _LEFT - 90) / max(spread.high for spread in spreads.values())
        for label, spread in spreads.items():
            parts += _bar(label, spread, y, scale)
            y += _BAR + _GAP
        y += 14
    style = (
        "text{font:12px sans-serif;fill:#333}.title{font-weight:bold}.label{text-anchor:end}"
        "@media(prefers-color-scheme:dark){text{fill:#ddd}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y}" role="img" '
        f'aria-label="events per second of each contestant"><style>{style}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _bar(label: str, spread: Spread, y: int, scale: float) -> list[str]:
    color = _OTHERS if label.startswith(_PEERS) else _OURS
    middle = y + _BAR / 2
    end = _LEFT + spread.median * scale
    low, high = _LEFT + spread.low * scale, _LEFT + spread.high * scale
    return [
        f'<text x="{_LEFT - 8}" y="{middle + 4}" class="label">{escape(label)}</text>',
        f'<rect x="{_LEFT}" y="{y}" width="{spread.median * scale:.1f}" height="{_BAR}" fill="{color}"/>',
        f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#333" stroke-width="1"/>',
        f'<text x="{max(end, high) + 6:.1f}" y="{middle + 4}">{spread.median:.0f}/s</text>',
    ]
