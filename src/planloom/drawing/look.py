"""How drawings look: colours in light and dark, the style sheet, the marks of the step states.

Everything stands under one root class and every name begins with `pl-`, so that several drawings and the page
around them do not disturb each other. A page with its own switch between light and dark overrides the custom
properties `--pl-…` on `.planloom-drawing`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

ROOT_CLASS: Final = "planloom-drawing"

SANS: Final = 'ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif'
MONO: Final = 'ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace'

# name: (light, dark); text on `paper` and on every tint keeps a contrast of at least 4.5 to 1
COLOURS: Final = {
    "paper": ("#ffffff", "#0d1117"),
    "card": ("#f8fafc", "#161d29"),
    "border": ("#cbd5e1", "#364255"),
    "grid": ("#e6eaf0", "#222c3a"),
    "ink": ("#0f172a", "#e8edf4"),
    "muted": ("#526075", "#9aa8bc"),
    "line": ("#8a98ad", "#64748b"),
    "accent": ("#4f46e5", "#9aa2ff"),
    "accent-tint": ("#eef0ff", "#1e2147"),
}
STATUS_COLOURS: Final = {
    # status: (colour light, colour dark, tint light, tint dark)
    "succeeded": ("#15803d", "#4ade80", "#f0fdf4", "#10251a"),
    "running": ("#1d4ed8", "#79b0ff", "#eff5ff", "#11213c"),
    "ready": ("#0e7490", "#4fd1e8", "#f3fafc", "#10232c"),
    "pending": ("#64748b", "#8b9ab0", "#f8fafc", "#161d29"),
    "waiting": ("#a16207", "#fbbf24", "#fefbe8", "#2a220d"),
    "held": ("#7e22ce", "#c894ff", "#faf5ff", "#24163a"),
    "unknown": ("#c2410c", "#fb9a5a", "#fff6ed", "#2e1a0d"),
    "failed": ("#b91c1c", "#ff8080", "#fef2f2", "#331519"),
    "skipped": ("#64748b", "#8b9ab0", "#f8fafc", "#12171f"),
    "cancelled": ("#57534e", "#a8a29e", "#f7f6f5", "#1c1a18"),
}

# drawn around 0,0 inside a disc of radius 7.5
_GLYPHS: Final = {
    "succeeded": "M-3.3.3-1 2.6 3.4-2.5",
    "failed": "M-2.6-2.6 2.6 2.6M2.6-2.6-2.6 2.6",
    "running": "M-1.6-2.8 2.8 0-1.6 2.8Z",
    "skipped": "M-3.2-2.6-.7 0-3.2 2.6M.9-2.6 3.4 0 .9 2.6",
    "cancelled": "M-3 0H3",
    "waiting": "M-1.8-2.6V2.6M1.8-2.6V2.6",
    "held": "M-3.4 0h.01M0 0h.01M3.4 0h.01",
    "unknown": "M-2.1-1.9C-2.1-4.6 2.3-4.6 2.3-1.8 2.3-.2 0-.1 0 1.4M0 3.8h.01",
    "ready": "M0 0h.01",
    "pending": "",
}
_HOLLOW: Final = frozenset({"pending", "ready"})

_SHEET: Final = (
    ("", "font:400 12px " + SANS + ";direction:ltr;background:none"),
    (" text", "fill:@ink;stroke:none;direction:ltr;text-anchor:start;white-space:pre"),
    (" .pl-paper", "fill:@paper;stroke:none"),
    (" .pl-card", "fill:@card;stroke:@border;stroke-width:1.25"),
    (" .pl-id", "font-weight:600;font-size:13px"),
    (" .pl-tool", "font-family:" + MONO + ";font-size:11px;fill:@muted"),
    (" .pl-note", "font-size:12px;fill:@muted"),
    (" .pl-wave", "font-size:11px;fill:@muted;letter-spacing:0"),
    (" .pl-small", "font-size:11px;fill:@muted"),
    (" .pl-edge", "fill:none;stroke:@line;stroke-width:1.5;stroke-linecap:round;stroke-linejoin:round"),
    (" .pl-order", "stroke-dasharray:1 4.5"),
    (" .pl-tip", "fill:@line;stroke:none"),
    (" .pl-edge.pl-circle", "stroke:@failed;stroke-width:1.8"),
    (" .pl-tip.pl-circle", "fill:@failed"),
    (" .pl-chip", "fill:@accent-tint;stroke:@accent;stroke-width:1"),
    (" .pl-chip-text", "font-size:10.5px;font-weight:600;fill:@accent"),
    (" .pl-chip.pl-wrong", "fill:@failed-tint;stroke:@failed"),
    (" .pl-chip-text.pl-wrong,text.pl-wrong", "fill:@failed"),
    (" .pl-amount", "fill:@accent;stroke:none;opacity:.75"),
    (" .pl-name", "font-size:12px"),
    (" .pl-strong", "font-weight:600"),
    (" .pl-grid", "stroke:@grid;stroke-width:1;fill:none"),
    (" .pl-stripe", "fill:@grid;stroke:none;opacity:.45"),
    (" .pl-mark", "stroke-width:1.5"),
    (" .pl-glyph", "fill:none;stroke:@paper;stroke-width:1.9;stroke-linecap:round;stroke-linejoin:round"),
    (" .pl-critical", "fill:none;stroke:@ink;stroke-width:1.6"),
    (" .pl-lead", "stroke:@line;stroke-width:1.2;stroke-dasharray:1 3;stroke-linecap:round;fill:none"),
)


def style_of(statuses: Iterable[str] = (), *, has_wrong: bool = False) -> str:
    """Return the style element's text for a drawing that shows these states; it holds no `<` and no `&`.

    Each rule gives the light colour before the custom property, for viewers that know no `var()`.
    """
    shown = [status for status in STATUS_COLOURS if status in set(statuses)]
    colours = dict(COLOURS)
    for status in {*shown, "failed"} if has_wrong else shown:
        light, dark, tint_light, tint_dark = STATUS_COLOURS[status]
        colours |= {status: (light, dark), f"{status}-tint": (tint_light, tint_dark)}
    rules = [_rule(selector, body, colours) for selector, body in _SHEET if _is_known(body, colours)]
    for status in shown:
        rules.append(_rule(f" .pl-{status}.pl-card", f"fill:@{status}-tint;stroke:@{status}", colours))
        rules.append(_rule(f" .pl-{status}.pl-bar", f"fill:@{status};stroke:none", colours))
        hollow = f"fill:@paper;stroke:@{status}" if status in _HOLLOW else f"fill:@{status};stroke:@{status}"
        rules.append(_rule(f" .pl-{status}.pl-mark", hollow, colours))
    if "ready" in shown:
        rules.append(_rule(" .pl-ready.pl-glyph", "stroke:@ready;stroke-width:5", colours))
    if "held" in shown:
        rules.append(_rule(" .pl-held.pl-glyph", "stroke-width:2.4", colours))
    if "skipped" in shown:
        rules.append(_rule(" .pl-skipped.pl-card", "stroke-dasharray:5 4", colours))
        rules.append(_rule(" g.pl-skipped text", "fill:@muted", colours))
    if "running" in shown:
        rules.append(
            "@media (prefers-reduced-motion:no-preference){"
            f".{ROOT_CLASS} .pl-running.pl-mark{{animation:pl-pulse 1.6s ease-in-out infinite}}}}"
            "@keyframes pl-pulse{50%{opacity:.45}}"
        )
    names = sorted(colours)
    light_names = "".join(f"--pl-{name}:{colours[name][0]};" for name in names)
    dark_names = "".join(f"--pl-{name}:{colours[name][1]};" for name in names)
    return (
        f".{ROOT_CLASS}{{{light_names}}}"
        f"@media (prefers-color-scheme:dark){{.{ROOT_CLASS}{{{dark_names}}}}}" + "".join(rules)
    )


def status_mark(status: str, x: float, y: float) -> str:
    """Return the round mark of a state with its middle at x, y."""
    glyph = _GLYPHS[status]
    drawn = f'<path class="pl-glyph pl-{status}" d="{glyph}"/>' if glyph else ""
    return f'<g transform="translate({x:.1f} {y:.1f})"><circle class="pl-mark pl-{status}" r="7.2"/>{drawn}</g>'


def _is_known(body: str, colours: dict[str, tuple[str, str]]) -> bool:
    return all(part.split(";")[0] in colours for part in body.split("@")[1:])


def _rule(selector: str, body: str, colours: dict[str, tuple[str, str]]) -> str:
    declarations: list[str] = []
    for declaration in body.split(";"):
        name, _, value = declaration.partition(":")
        if value.startswith("@"):
            declarations.append(f"{name}:{colours[value[1:]][0]};{name}:var(--pl-{value[1:]})")
        else:
            declarations.append(declaration)
    selectors = ",".join(f".{ROOT_CLASS} {part.strip()}".rstrip() for part in selector.split(","))
    return f"{selectors}{{{';'.join(declarations)}}}"
