"""Days and months: order, numbers, lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .intents import Fact, Intent, expand

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTH_LENGTHS = {
    "January": "31 days",
    "February": "28 days, or 29 in a leap year",
    "March": "31 days",
    "April": "30 days",
    "May": "31 days",
    "June": "30 days",
    "July": "31 days",
    "August": "31 days",
    "September": "30 days",
    "October": "31 days",
    "November": "30 days",
    "December": "31 days",
}
MONTHS = tuple(MONTH_LENGTHS)
ORDINALS = expand(
    "[first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth]",
)
SHORT_ORDINALS = expand(
    "[1st|2nd|3rd|4th|5th|6th|7th|8th|9th|10th|11th|12th]",
)

_SPAN_FACTS: tuple[Fact, ...] = (
    {"small": "days", "large": "a week", "number": "7"},
    {"small": "months", "large": "a year", "number": "12"},
    {"small": "hours", "large": "a day", "number": "24"},
    {"small": "minutes", "large": "an hour", "number": "60"},
    {"small": "seconds", "large": "a minute", "number": "60"},
    {"small": "days", "large": "a year", "number": "365"},
    {"small": "weeks", "large": "a year", "number": "52"},
    {"small": "years", "large": "a century", "number": "100"},
    {"small": "years", "large": "a decade", "number": "10"},
    {"small": "days", "large": "a leap year", "number": "366"},
)

NEIGHBOUR_ASKED = expand(
    "[What|Which] {unit} [comes|is|comes right] {side} {name}?",
    "[What is|What's|Tell me|Name|Say] the {unit} {side} {name}?",
    "What comes {side} {name}?",
    "{name} comes right {other_side} which {unit}?",
    "Which {unit} has {name} right {other_side} it?",
    "The {unit} {side} {name}?",
)
NEIGHBOUR_ASKED_NEW = expand(
    "Tell me which {unit} comes {side} {name}.",
    "Can you name the {unit} {side} {name}?",
    "Which is the {unit} {side} {name}?",
)
RELATIVE_DAY_ASKED = expand(
    "[If today is|Today is|If it is|It is] {name}, what day [is|was|will be] {when}?",
    "[If today is|Today is] {name}. [What|Which] day is {when}?",
    "What day is {when} if today is {name}?",
)
RELATIVE_DAY_ASKED_NEW = expand(
    "If today is {name}, which day is {when}?", "Today is {name}, so what day is {when}?"
)
NUMBER_ASKED = expand(
    "[What|Which] number is [{name}|the month of {name}|the month {name}]?",
    "[What is|What's|Tell me] the number of [{name}|the month {name}|the month of {name}]?",
    "[What|Which] month of the year is {name}?",
    "{name} is [which|what] month of the year?",
    "Which number does [{name}|the month {name}] have?",
)
NUMBER_ASKED_NEW = expand(
    "Tell me which month of the year {name} is.", "What number does the month {name} have?"
)
NTH_ASKED = expand(
    "[What is|What's|Tell me|Name|Say|Which is] the {nth} month [of the year|]?",
    "[Which|What] month is [the {nth}|the {nth} one|the {nth} of the year]?",
    "[Which|What] month is number {number}?",
    "[What is|Which is|Tell me] month number {number}?",
    "{nth} month of the year?",
)
NTH_ASKED_NEW = expand(
    "Can you name the {nth} month of the year?", "The {nth} month of the year is which one?"
)
LENGTH_ASKED = expand(
    "How many days [does {name} have|are in {name}|are there in {name}|has {name}]?",
    "How long is [{name}|the month of {name}]?",
    "[What is|Tell me] the number of days in {name}?",
    "[Days in|Number of days in] {name}?",
    "{name} has how many days?",
    "Tell me how many days {name} has.",
)
LENGTH_ASKED_NEW = expand(
    "How many days are there in the month of {name}?", "Do you know how many days {name} has?"
)
SPAN_ASKED = expand(
    "How many {small} [are|are there] in {large}?",
    "How many {small} does {large} have?",
    "How many {small} make {large}?",
    "{large} has how many {small}?",
    "[What is|Tell me] the number of {small} in {large}?",
    "Tell me how many {small} are in {large}.",
)
SPAN_ASKED_NEW = expand(
    "Do you know how many {small} are in {large}?", "Tell me how many {small} {large} has."
)


def _neighbours(unit: str, names: Sequence[str]) -> Iterator[Fact]:
    for i, name in enumerate(names):
        following, previous = names[(i + 1) % len(names)], names[i - 1]
        after = {"unit": unit, "name": name, "side": "after", "other_side": "before"}
        yield {
            **after,
            "answer": f"After {name} comes {following}.",
            "expect": f"comes {following}.",
        }
        before = {"unit": unit, "name": name, "side": "before", "other_side": "after"}
        yield {
            **before,
            "answer": f"Before {name} comes {previous}.",
            "expect": f"comes {previous}.",
        }


def _relative_days() -> Iterator[Fact]:
    for i, name in enumerate(DAYS):
        for when, verb, step in (
            ("tomorrow", "is", 1),
            ("yesterday", "was", -1),
            ("the day after tomorrow", "is", 2),
            ("the day before yesterday", "was", -2),
        ):
            day = DAYS[(i + step) % 7]
            answer = f"If today is {name}, {when} {verb} {day}."
            yield {"name": name, "when": when, "answer": answer, "expect": f"{verb} {day}."}


def _numbered_months() -> Iterator[Fact]:
    for i, name in enumerate(MONTHS):
        answer = f"{name} is the {ORDINALS[i]} month of the year."
        for nth in (ORDINALS[i], SHORT_ORDINALS[i]):
            yield {"name": name, "nth": nth, "number": str(i + 1), "answer": answer}


def _calendar(
    weight: float,
    asked: tuple[str, ...],
    asked_new: tuple[str, ...],
    facts: Iterator[Fact] | Sequence[Fact],
    *,
    answer: str = "{answer}",
    expect: str = "{answer}",
) -> Intent:
    return Intent("calendar", weight, asked, asked_new, tuple(facts), answer=answer, expect=expect)


def _recital(asked: tuple[str, ...], asked_new: tuple[str, ...], names: Sequence[str]) -> Intent:
    """Says all of them, in order."""
    everything = ", ".join(names) + "."
    return _calendar(0.5, asked, asked_new, ({"answer": everything},))


INTENTS = (
    _calendar(2, NEIGHBOUR_ASKED, NEIGHBOUR_ASKED_NEW, _neighbours("day", DAYS), expect="{expect}"),
    _calendar(
        2, NEIGHBOUR_ASKED, NEIGHBOUR_ASKED_NEW, _neighbours("month", MONTHS), expect="{expect}"
    ),
    _calendar(2, RELATIVE_DAY_ASKED, RELATIVE_DAY_ASKED_NEW, _relative_days(), expect="{expect}"),
    _calendar(1, NUMBER_ASKED, NUMBER_ASKED_NEW, _numbered_months()),
    _calendar(1, NTH_ASKED, NTH_ASKED_NEW, _numbered_months()),
    _calendar(
        1.5,
        LENGTH_ASKED,
        LENGTH_ASKED_NEW,
        [{"name": name, "length": length} for name, length in MONTH_LENGTHS.items()],
        answer="{name} has {length}.",
        expect="has {length}.",
    ),
    _calendar(
        1,
        SPAN_ASKED,
        SPAN_ASKED_NEW,
        _SPAN_FACTS,
        answer="There are {number} {small} in {large}.",
        expect="There are {number} ",
    ),
    _recital(
        expand(
            "[List|Name|Tell me|Say|Give me|What are] [the months|all the months|the twelve months]"
            " [of the year|].",
            "Which months are there?",
        ),
        expand("Can you list the months of the year?", "Please name all twelve months."),
        MONTHS,
    ),
    _recital(
        expand(
            "[List|Name|Tell me|Say|Give me|What are] [the days|all the days|the seven days]"
            " of the week.",
            "Which days are there in a week?",
        ),
        expand("Can you list the days of the week?", "Please name all seven days of the week."),
        DAYS,
    ),
)

TEXTS = (
    Intent(
        "text",
        0.5,
        ("The {unit} after {name} is",),
        facts=tuple(
            {"unit": unit, "name": name, "next": names[(i + 1) % len(names)]}
            for unit, names in (("day", DAYS), ("month", MONTHS))
            for i, name in enumerate(names)
        ),
        answer=" {next}.",
        expect="{next}.",
    ),
    Intent(
        "text",
        0.5,
        ("{known},",),
        facts=tuple(
            {"known": ", ".join(names[:i]), "rest": ", ".join(names[i:])}
            for names in (DAYS, MONTHS)
            for i in range(1, len(names) - 1)
        ),
        answer=" {rest}.",
        expect="{rest}.",
    ),
)
