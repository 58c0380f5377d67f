"""What a model writes for four goals, by each strategy: whole plans, single turns with a thought each, joined answers.

The shapes are those of the LLMCompiler paper (Kim et al. 2023, table 1) and one more. Replies have the length and the
fields that the prompts ask for; nothing is left out to look quick. A baseline may think as tersely as it can without
losing the thread, and does in its head what a person would do there.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final

from planloom import Toolbox, tool

TOOL_S: Final = 0.8


@dataclass(frozen=True, slots=True)
class Shape:
    """One goal: what the model writes for it by each strategy, and how much faster than ReAct the paper's was.

    `steps` are (id, description, tool, arguments, dependencies); `turns` the thoughts and calls of ReAct. `joined` is
    the joiner's answer; with a plan's own `answer` no joiner is asked.
    """

    name: str
    goal: str
    tools: Toolbox
    steps: tuple[tuple[str, str, str, dict[str, Any], tuple[str, ...]], ...]
    turns: tuple[tuple[str, str, dict[str, Any]], ...]
    last_thought: str
    joined: str
    answer: str | None = None
    for_each: list[str] | None = None
    paper_times: float | None = None

    @property
    def react_replies(self) -> list[str]:
        """One reply for each call, and the answer."""
        calls = [{"thought": thought, "tool": name, "args": args} for thought, name, args in self.turns]
        return [json.dumps(turn) for turn in (*calls, {"thought": self.last_thought, "answer": self.joined})]

    @property
    def plan_replies(self) -> list[str]:
        """The whole plan, and the joiner's answer if it is asked."""
        steps = [
            {"id": step_id, "description": description, "tool": name, "args": args, "depends_on": list(needed)}
            | ({"for_each": self.for_each} if self.for_each else {})
            for step_id, description, name, args, needed in self.steps
        ]
        answer = {} if self.answer is None else {"answer": self.answer}
        joined = [] if self.answer is not None else [self.joined]
        return [json.dumps({"goal": self.goal, "steps": steps, **answer}), *joined]

    @property
    def compile_replies(self) -> list[str]:
        """All calls in the short form, which has no answer, and the joiner's."""
        calls = [
            {"id": step_id, "tool": name, "args": args} | ({"for_each": self.for_each} if self.for_each else {})
            for step_id, _, name, args, _ in self.steps
        ]
        return [json.dumps({"calls": calls}), self.joined]


# ---- the tools, each of which takes TOOL_S ----------------------------------------------------------

_PAGE: Final = (
    "{subject} is described here in the way of an encyclopaedia. The first paragraph says what or who it is, where and "
    "when it began, and what it is best known for; the second tells its history, with the people who took part in it "
    "and the years in which they did; the third names the reception, the awards and the disputes. For the question at "
    "hand one sentence matters: {fact}. The rest of the page lists works, further reading and links to related pages, "
    "which nobody needs who only wants to know this one thing."
)
_FACTS: Final = {
    "Scott Derrickson": "Scott Derrickson is an American film director, born in Denver, Colorado",
    "Ed Wood": "Ed Wood was an American filmmaker, born in Poughkeepsie, New York",
    "Mission: Impossible": "it is a 1996 American action spy thriller",
    "The Silence of the Lambs": "it is a 1991 American psychological crime thriller",
    "American Beauty": "it is a 1999 American drama about crime and desire in a suburb",
    "Star Wars": "it is a 1977 American epic space adventure",
    "Austin Powers": "it is a 1997 American spy comedy",
    "Alyosha Popovich": "it is a 2004 Russian animated film for children",
    "In Cold Blood": "it is a 1967 American crime drama about a murder and its investigation",
    "Rosetta": "it is a 1999 Belgian drama about a girl who looks for work",
}
_STATES: Final = {
    "Texas": (29_145_505, 695_662),
    "Florida": (21_538_187, 170_312),
    "California": (39_538_223, 423_967),
}


@tool(read_only=True)
async def search(query: str) -> str:
    """Search an encyclopaedia and return the text of the best page.

    Args:
        query: The subject to look up.
    """
    await asyncio.sleep(TOOL_S)
    subject = next(name for name in _FACTS if name in query)
    return _PAGE.format(subject=subject, fact=_FACTS[subject])


@tool(read_only=True)
async def state_facts(state: str) -> dict[str, float]:
    """Return the population and the area in square kilometres of a state of the USA."""
    await asyncio.sleep(TOOL_S)
    population, area_km2 = _STATES[state]
    return {"population": population, "area_km2": area_km2}


@tool(read_only=True)
async def divide(numerator: float, denominator: float) -> float:
    """Divide two numbers, rounded to one digit."""
    await asyncio.sleep(TOOL_S)
    return round(numerator / denominator, 1)


@tool(read_only=True)
async def get_part(part_id: str) -> dict[str, str]:
    """Return a part of an assembly: its name, a note from the drawing, and the id of the part it is mounted on."""
    await asyncio.sleep(TOOL_S)
    number = int(part_id.removeprefix("P-"))
    note = f"{_PAGE[:240]} Drawing {number:04}, revision C, checked."
    return {"name": f"bracket {number}", "note": note, "mounted_on": f"P-{number + 7}"}


# ---- the shapes -------------------------------------------------------------------------------------

_MOVIES: Final = tuple(name for name in _FACTS if name not in ("Scott Derrickson", "Ed Wood"))
_MOVIE_GOAL: Final = (
    "Find a movie similar to Mission: Impossible, The Silence of the Lambs, American Beauty and Star Wars. "
    "Options: Austin Powers, Alyosha Popovich, In Cold Blood, Rosetta."
)
_MOVIE_ANSWER: Final = (
    "In Cold Blood is the closest match: like The Silence of the Lambs and American Beauty it is a serious American "
    "film about a crime, while the others are a comedy, a children's film and a European drama."
)


def _two_searches() -> Shape:
    people = ("Scott Derrickson", "Ed Wood")
    return Shape(
        "HotpotQA: 2 searches, join",
        "Were Scott Derrickson and Ed Wood of the same nationality?",
        Toolbox([search]),
        steps=tuple(
            (
                name.split()[-1].lower(),
                f"Find the nationality of {name}",
                "search",
                {"query": f"{name} nationality"},
                (),
            )
            for name in people
        ),
        turns=(
            (
                "I need the nationality of both. I will look up Scott Derrickson first.",
                "search",
                {"query": "Scott Derrickson nationality"},
            ),
            (
                "Scott Derrickson is American. Now I need the nationality of Ed Wood.",
                "search",
                {"query": "Ed Wood nationality"},
            ),
        ),
        last_thought="Scott Derrickson and Ed Wood are both American, so the answer is yes.",
        joined="Yes. Scott Derrickson and Ed Wood were both American.",
        paper_times=1.8,
    )


def _eight_searches() -> Shape:
    return Shape(
        "Movie Recommendation: 8 searches, join",
        _MOVIE_GOAL,
        Toolbox([search]),
        steps=tuple(
            (f"movie_{number}", f"Find out what kind of movie {name} is", "search", {"query": f"{name} film"}, ())
            for number, name in enumerate(_MOVIES, 1)
        ),
        turns=tuple(_movie_turn(position) for position in range(len(_MOVIES))),
        last_thought="Of the options, In Cold Blood is the American crime drama, which is what most of the given "
        "movies are. The others are a comedy, an animated film and a European drama.",
        joined=_MOVIE_ANSWER,
        paper_times=3.7,
    )


def _movie_turn(position: int) -> tuple[str, str, dict[str, Any]]:
    name = _MOVIES[position]
    if position == 0:
        thought = "I have to compare the options with the given movies by genre and style. I will begin with the first."
    else:
        before = _MOVIES[position - 1]
        kind = _FACTS[before].split(" a ", 1)[-1].split(" an ", 1)[-1]
        thought = f"{before} is a {kind}. Next I look up {name}."
    return thought, "search", {"query": f"{name} film"}


def _eight_searches_in_one_step() -> Shape:
    several = _eight_searches()
    return Shape(
        "the same 8, planned as one for_each",
        several.goal,
        several.tools,
        steps=(("movies", "Find out what kind of movie each is", "search", {"query": "{{item}} film"}, ()),),
        turns=several.turns,
        last_thought=several.last_thought,
        joined=several.joined,
        for_each=list(_MOVIES),
        paper_times=3.7,
    )


def _three_chains() -> Shape:
    steps: list[tuple[str, str, str, dict[str, Any], tuple[str, ...]]] = []
    for state in _STATES:
        facts = f"{state.lower()}_facts"
        parts = {
            "numerator": f"{{{{{facts}.output.population}}}}",
            "denominator": f"{{{{{facts}.output.area_km2}}}}",
        }
        steps.append((facts, f"Get population and area of {state}", "state_facts", {"state": state}, ()))
        steps.append((f"{state.lower()}_density", f"Population density of {state}", "divide", parts, (facts,)))
    turns: list[tuple[str, str, dict[str, Any]]] = []
    thought = "I need population and area of each of the three states. I will begin with Texas."
    for state, (population, area_km2) in _STATES.items():
        turns.append((thought, "state_facts", {"state": state}))
        turns.append(
            (
                f"{state} has {population:,} people on {area_km2:,} square kilometres. I divide them.",
                "divide",
                {"numerator": population, "denominator": area_km2},
            )
        )
        following = {"Texas": "Florida", "Florida": "California"}.get(state, "")
        thought = f"{state} has {population / area_km2:.1f} people per square kilometre. Next is {following}."
    return Shape(
        "ParallelQA: 3 chains that meet",
        "Which of Texas, Florida and California has the highest population density, and by how much does it lead?",
        Toolbox([state_facts, divide]),
        steps=tuple(steps),
        turns=tuple(turns),
        last_thought="Texas has 41.9, Florida 126.5 and California 93.3 people per square kilometre, so Florida leads "
        "by 33.2.",
        joined="Florida, with 126.5 people per square kilometre. It leads California (93.3) by 33.2; Texas has 41.9.",
        paper_times=2.2,
    )


def _twelve_in_a_row() -> Shape:
    steps: list[tuple[str, str, str, dict[str, Any], tuple[str, ...]]] = [
        ("part_1", "Get the first part", "get_part", {"part_id": "P-100"}, ())
    ]
    turns: list[tuple[str, str, dict[str, Any]]] = [
        ("I have to follow the parts one by one. I begin with P-100.", "get_part", {"part_id": "P-100"})
    ]
    for number in range(2, 13):
        before, part_id = f"part_{number - 1}", f"P-{100 + 7 * (number - 1)}"
        reference = f"{{{{{before}.output.mounted_on}}}}"
        steps.append((f"part_{number}", "Get the part it is mounted on", "get_part", {"part_id": reference}, (before,)))
        turns.append(
            (f"Part {number - 1} of 12 is mounted on {part_id}. I follow it.", "get_part", {"part_id": part_id})
        )
    return Shape(
        "12 steps in a row",
        "Begin at part P-100 and follow what each part is mounted on until you have seen 12 parts. What is the name of "
        "the last one?",
        Toolbox([get_part]),
        steps=tuple(steps),
        turns=tuple(turns),
        last_thought="This is the twelfth part, and its name is bracket 177.",
        joined="bracket 177",
        answer="{{part_12.output.name}}",
    )


SHAPES: Final = (
    _two_searches(),
    _eight_searches(),
    _eight_searches_in_one_step(),
    _three_chains(),
    _twelve_in_a_row(),
)
