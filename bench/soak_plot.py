"""The samples of a soak as a picture: SVG that reads on a light and on a dark page."""

import math
from typing import List, Sequence

from soak_report import MIB, Outcome

__all__ = ["svg_of"]

_WIDTH, _LEFT, _RIGHT, _BETWEEN = 920, 58, 24, 84
_PANEL_W, _PANEL_H = (_WIDTH - _LEFT - _BETWEEN - _RIGHT) // 2, 120
_TOP, _ROW_H = 86, 182
_PANELS = (
    ("private_bytes", "private memory of the worker, MiB"),
    ("objects", "objects that the collector tracks"),
    ("threads", "threads"),
    ("files", "file descriptors, but for those to Redis"),
    ("generators", "generators open"),
    ("servings", "responses open"),
    ("redis_keys", "keys in Redis"),
    ("redis_bytes", "memory of Redis, MiB"),
)
_STYLE = """
  .back { fill: #ffffff } text { fill: #333333; font: 12px sans-serif } .title { font-weight: bold }
  .grid { stroke: #d8d8d8 } .mark { stroke: #888888; stroke-dasharray: 4 3 }
  polyline { fill: none; stroke-width: 1.3; stroke-linejoin: round }
  .s0 { stroke: #0b62b8 } .s1 { stroke: #c2500a } text.s0 { fill: #0b62b8; stroke: none }
  text.s1 { fill: #c2500a; stroke: none }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117 } text { fill: #c9d1d9 } .grid { stroke: #30363d }
    .mark { stroke: #8b949e } .s0 { stroke: #58a6ff } .s1 { stroke: #f0883e }
    text.s0 { fill: #58a6ff } text.s1 { fill: #f0883e }
  }
"""


def svg_of(outcomes: Sequence[Outcome], title: str) -> str:
    """The samples against the time, a panel for each quantity and a line for each server."""
    rows = (len(_PANELS) + 1) // 2
    height = _TOP + rows * _ROW_H
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{title}</title><style>{_STYLE}</style>",
        f'<rect class="back" width="{_WIDTH}" height="{height}"/>',
        f'<text class="title" x="{_LEFT}" y="24">{title}</text>',
    ]
    for index, outcome in enumerate(outcomes):
        name = f"gunicorn {outcome.server}"
        parts.append(f'<text class="s{index}" x="{_LEFT + 150 * index}" y="44">{name}</text>')
    for index, (field, text) in enumerate(_PANELS):
        x = _LEFT + index % 2 * (_PANEL_W + _BETWEEN)
        y = _TOP + index // 2 * _ROW_H
        panel = "".join(_panel(outcomes, field, text))
        parts.append(f'<g transform="translate({x} {y})">{panel}</g>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(outcomes: Sequence[Outcome], field: str, text: str) -> List[str]:
    unit = MIB if field.endswith("_bytes") else 1
    samples = [sample for outcome in outcomes for sample in outcome.samples]
    top = _round_above(max(getattr(sample, field) for sample in samples) / unit)
    last_s = max(sample.at_s for sample in samples)
    ends_s = max(sample.at_s for sample in samples if sample.phase == "run")
    parts = [f'<text class="title" x="0" y="-8">{text}</text>']
    for share in (0.0, 0.5, 1.0):
        y = _PANEL_H * (1 - share)
        parts.append(f'<line class="grid" x1="0" x2="{_PANEL_W}" y1="{y:g}" y2="{y:g}"/>')
        parts.append(f'<text x="-6" y="{y + 4:g}" text-anchor="end">{top * share:g}</text>')
    for at_s, label in ((0.0, "0"), (ends_s / 4, "settled"), (ends_s, f"{ends_s / 60:.0f} min")):
        x = _PANEL_W * at_s / last_s
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{_PANEL_H}"/>')
        parts.append(f'<text x="{x:.1f}" y="{_PANEL_H + 16}" text-anchor="middle">{label}</text>')
    for index, outcome in enumerate(outcomes):
        points = " ".join(
            f"{_PANEL_W * sample.at_s / last_s:.1f},"
            f"{_PANEL_H * (1 - getattr(sample, field) / unit / top):.1f}"
            for sample in outcome.samples
        )
        parts.append(f'<polyline class="s{index}" points="{points}"/>')
    return parts


def _round_above(value: float) -> float:
    """The next of 1, 2, 4, 6, 8, 10 times a power of ten.

    >>> _round_above(0.3), _round_above(47), _round_above(0)
    (0.4, 60.0, 1.0)
    """
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value)
