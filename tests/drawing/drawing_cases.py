"""Plans and runs that the drawing tests share, and the reading of an SVG back into boxes and texts."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any

from planloom.drawing.words import width_px
from planloom.plan.model import Plan
from planloom.plan.results import RunResult, StepError, StepResult
from planloom.plan.state import RunStatus, StepStatus

SVG = "{http://www.w3.org/2000/svg}"
ALLOWED_TAGS = {"svg", "title", "desc", "style", "g", "rect", "path", "text", "circle"}

HOSTILE_TEXTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "]]> --> </style></svg><svg onload=alert(1)>",
    "&amp; &#0; &unknown;",
    "line\nbreak\r\ttab\x0b",
    "null \x00 escape \x1b[31mred\x1b[0m bell \x07",
    "lone \ud800 surrogate \udfff",
    "not a character \ufffe \uffff",
    "right \u202e to left \u2066 isolated",
    "Z\u0351\u0352\u0353\u0354\u0355a\u0356lgo",
    "漢字かな交じり文ハングル한국어" * 3,
    "🎉👩‍👩‍👧‍👦🏳️‍🌈" * 4,
    "مرحبا بالعالم ﷽ 𒐫 ꧅",
    "W" * 300,
    "",
    " ",
    "end",
    'a"]; click s0 "javascript:alert(1)"',
    "%%{init: {}}%% graph TD; a --> b",
    "$$\\frac{1}{2}$$ `**bold**`",
)


def step(id: str, needs: tuple[str, ...] = (), uses: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    """One step as JSON: `needs` are declared only, `uses` are referenced."""
    written = {
        "id": id,
        "description": f"Do {id}",
        "tool": f"tool_{len(id) % 3}",
        "args": {f"a{index}": "{{" + name + ".output}}" for index, name in enumerate(uses)},
        "depends_on": [*needs, *uses],
    }
    return written | fields


def plan(*steps: dict[str, Any], goal: str = "Draw me") -> Plan:
    """A plan of these steps."""
    return Plan.from_json({"version": 1, "goal": goal, "steps": list(steps)})


def chain(length: int) -> Plan:
    """Steps one after the other."""
    return plan(*(step(f"s{i}", uses=(f"s{i - 1}",) if i else ()) for i in range(length)))


def fan(width: int) -> Plan:
    """One step, many beside each other, one that joins them."""
    middle = [f"page_{i}" for i in range(width)]
    return plan(step("first"), *(step(name, uses=("first",)) for name in middle), step("last", uses=tuple(middle)))


def layered(layers: int, width: int) -> Plan:
    """Layers in which each step uses two of the layer before, and some wait for the very first."""
    steps = [step(f"s0_{i}") for i in range(width)]
    for layer in range(1, layers):
        for i in range(width):
            uses = tuple(dict.fromkeys((f"s{layer - 1}_{i}", f"s{layer - 1}_{(i * 7 + 3) % width}")))
            steps.append(step(f"s{layer}_{i}", needs=("s0_0",) if i % 5 == 0 else (), uses=uses))
    return plan(*steps)


DIAMOND = plan(
    step("load", description="Load the file", tool="load_data"),
    step("stats", uses=("load",), description="Describe every numeric column", tool="compute_stats"),
    step("anomalies", uses=("load",), description="Find rows that stand out", tool="find_anomalies"),
    step("summary", uses=("stats", "anomalies"), description="Write the summary", tool="summarise"),
    goal="Find what is unusual",
)
MIXED = plan(
    step("setup"),
    step("list"),
    step("fetch", needs=("setup",), uses=("list",), for_each="{{list.output.names}}"),
    step("check", uses=("fetch",)),
    step("repair", uses=("fetch", "check"), when="{{check.output.bad}} > 0"),
    step("trend", uses=("repair",), for_each=[1, 2, 3], when="len({{repair.output}}) > 1"),
    step("report", needs=("setup", "list"), uses=("trend",), description="Write a report " * 8),
)
CIRCLE = plan(
    step("a"),
    step("b", needs=("a",), uses=("d",)),
    step("c", needs=("b",)),
    step("d", needs=("c",)),
    step("e", needs=("missing",), uses=("d",)),
    step("self", needs=("self",)),
    step("a", needs=("a",)),
)
TWO_CIRCLE = plan(step("x", uses=("y",)), step("y", uses=("x",)))
HOSTILE = plan(
    *(
        step(text, tool=text, description=text, when=text, for_each=text, depends_on=[*HOSTILE_TEXTS[:4], text])
        for text in HOSTILE_TEXTS
    ),
    goal=" ".join(HOSTILE_TEXTS),
)
DEFECTIVE = Plan.from_json([{}, 7, {"id": 3, "tool": None, "args": 5, "depends_on": "x", "when": True}, None])
EMPTY = plan()

CASES: dict[str, Plan] = {
    "diamond": DIAMOND,
    "mixed": MIXED,
    "circle": CIRCLE,
    "two-circle": TWO_CIRCLE,
    "hostile": HOSTILE,
    "defective": DEFECTIVE,
    "empty": EMPTY,
    "one step": chain(1),
    "chain of 30": chain(30),
    "fan of 50": fan(50),
    "layered 10 x 20": layered(10, 20),
}

STATES = tuple(status.value for status in StepStatus)


def all_states(drawn: Plan) -> dict[str, str]:
    """A state for every step, each state in turn."""
    return {one.id: STATES[index % len(STATES)] for index, one in enumerate(drawn.steps)}


def run_of(drawn: Plan, **changes: Any) -> RunResult:
    """A run of the plan: steps start a second apart and take 1.5 s; each state occurs in turn."""
    steps: dict[str, StepResult] = {}
    for index, one in enumerate(drawn.steps):
        status = StepStatus(STATES[index % len(STATES)])
        ran = status in (StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.RUNNING)
        steps[one.id] = StepResult(
            one.id,
            status,
            error=StepError("exception", "E", HOSTILE_TEXTS[0]) if status is StepStatus.FAILED else None,
            attempts=index % 4,
            started_s=float(index) if ran else None,
            ended_s=index + 1.5 if ran and status is not StepStatus.RUNNING else None,
            reason="its condition was false" if status is StepStatus.SKIPPED else None,
        )
    run = RunResult("run", RunStatus.FAILED, None, drawn, steps, duration_ms=1000.0 * len(drawn.steps) + 500)
    return RunResult(**{name: getattr(run, name) for name in run.__slots__} | changes)


@dataclass(frozen=True)
class Box:
    """A rectangle in the drawing's own coordinates, and what it belongs to."""

    left: float
    top: float
    right: float
    bottom: float
    label: str

    def overlaps(self, other: Box) -> bool:
        """Whether the insides have a point in common."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def holds(self, other: Box, slack: float = 0.11) -> bool:
        """Whether the other box lies inside, but for rounding."""
        return (
            self.left - slack <= other.left
            and other.right <= self.right + slack
            and self.top - slack <= other.top
            and other.bottom <= self.bottom + slack
        )


_SIZES = {
    "pl-id": (13, "bold"), "pl-tool": (11, "mono"), "pl-note": (12, "plain"), "pl-wave": (11, "plain"),
    "pl-small": (11, "plain"), "pl-chip-text": (10.5, "bold"), "pl-name": (12, "plain"), "pl-strong": (12, "bold"),
}  # fmt: skip


@dataclass
class Picture:
    """An SVG read back."""

    root: ET.Element
    frame: Box
    cards: list[Box]
    texts: list[Box]

    @staticmethod
    def read(svg: str) -> Picture:
        """Parse an SVG; raises when it is not well-formed."""
        root = ET.fromstring(svg)
        assert root.tag == SVG + "svg"
        numbers = [float(number) for number in root.attrib["viewBox"].split()]
        picture = Picture(root, Box(numbers[0], numbers[1], numbers[2], numbers[3], "frame"), [], [])
        picture._walk(root, 0.0, 0.0, 1.0)
        return picture

    def _walk(self, element: ET.Element, x: float, y: float, scale: float) -> None:
        transform = element.get("transform", "")
        if move := re.search(r"translate\((-?[\d.]+) (-?[\d.]+)\)", transform):
            x, y = x + scale * float(move[1]), y + scale * float(move[2])
        if zoom := re.search(r"scale\(([\d.]+)\)", transform):
            scale *= float(zoom[1])
        style = element.get("class", "").split()
        if element.tag == SVG + "text":
            self.texts.append(_text_box(element, style, x, y))
        cards: list[Box] = []
        for child in element:
            if child.tag == SVG + "rect" and "pl-card" in child.get("class", "").split():
                left, top = x + float(child.attrib["x"]), y + float(child.attrib["y"])
                width, height = float(child.attrib["width"]), float(child.attrib["height"])
                title = element.find(SVG + "title")
                cards.append(
                    Box(left, top, left + width, top + height, (title.text or "") if title is not None else "")
                )
            self._walk(child, x, y, scale)
        if cards and "pl-step" in style:
            cards = cards[-1:]  # the sheet behind the card of a `for_each` is decoration
        self.cards += cards


def _text_box(element: ET.Element, style: list[str], x: float, y: float) -> Box:
    size, face = next(_SIZES[name] for name in reversed(style) if name in _SIZES)
    text = element.text or ""
    width = float(element.get("textLength", width_px(text, size, face)))
    left, base = x + float(element.attrib["x"]), y + float(element.attrib["y"])
    return Box(left, base - 0.8 * size, left + width, base + 0.25 * size, text)
