"""Small sums, counting, and chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .intents import Fact, Intent, expand

MAX_TERM = 20  # additions and subtractions know 0 to 20
MAX_FACTOR = 10
MAX_COUNT = 50
SHORT_COUNTS = range(2, 11)  # numbers in one answer; most counts are short: more ends to learn
LONG_COUNTS = (16, 21, 31, 41, 50)

WORDS = expand(
    "[zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen]",
    "[fifteen|sixteen|seventeen|eighteen|nineteen|twenty]",
)

_ASK = "[What is|What's|How much is|Calculate|Compute|Tell me|Work out|Can you calculate|]"
_RESULT = "[What is|What's|Tell me|Calculate|Give me|Find]"

ADDITION_ASKED = expand(
    f"{_ASK} {{a}} + {{b}}?",
    f"{_ASK} {{a}} plus {{b}}?",
    "[What is|What's|] {a}+{b}?",
    "{a} + {b} =",
    "{a}+{b}=",
    "{a} + {b} = ?",
    "{a} plus {b} is what?",
    "{a} and {b} makes what?",
    "[Add|Please add|Can you add] {a} and {b}.",
    "Add {b} to {a}.",
    f"{_RESULT} the sum of {{a}} and {{b}}?",
    "What do you get if you add {a} and {b}?",
    "If I have {a} apples and get {b} more, how many do I have?",
    "How much do {a} and {b} make together?",
    "What does {a} plus {b} equal?",
)
ADDITION_ASKED_NEW = expand(
    "Could you add {a} and {b}?",
    "What does {a} + {b} equal?",
    "What do {a} and {b} make together?",
    "Work out the sum of {a} and {b}.",
)
SUBTRACTION_ASKED = expand(
    f"{_ASK} {{a}} - {{b}}?",
    f"{_ASK} {{a}} minus {{b}}?",
    "[What is|What's|] {a}-{b}?",
    "{a} - {b} =",
    "{a}-{b}=",
    "{a} - {b} = ?",
    "{a} minus {b} is what?",
    "[Subtract|Take|Please subtract|Can you subtract] {b} from {a}.",
    "Take {b} away from {a}.",
    "What do you get if you subtract {b} from {a}?",
    "If I have {a} apples and give away {b}, how many are left?",
    "What does {a} minus {b} equal?",
)
SUBTRACTION_ASKED_NEW = expand(
    "Could you subtract {b} from {a}?",
    "What does {a} - {b} equal?",
    "What do you get if you take {b} away from {a}?",
)
MULTIPLICATION_ASKED = expand(
    f"{_ASK} {{a}} [*|x] {{b}}?",
    f"{_ASK} {{a}} times {{b}}?",
    "[What is|What's|] {a}*{b}?",
    "[What is|] {a}x{b}?",
    "{a} [*|x] {b} =",
    "{a}*{b}=",
    "{a} * {b} = ?",
    "{a} \u00d7 {b}?",
    "[What is|What's|Calculate|] {a} multiplied by {b}?",
    "{a} times {b} is what?",
    "[Multiply|Please multiply|Can you multiply] {a} by {b}.",
    "Multiply {a} and {b}.",
    f"{_RESULT} the product of {{a}} and {{b}}?",
    "What do you get if you multiply {a} by {b}?",
    "What does {a} times {b} equal?",
)
MULTIPLICATION_ASKED_NEW = expand(
    "Could you multiply {a} by {b}?",
    "What does {a} * {b} equal?",
    "Work out the product of {a} and {b}.",
)
UP_ASKED = expand(
    "[Count|Please count|Can you count|Count up|Could you count|Count for me] from {a} to {b}.",
    "Count [from|] {a} up to {b}.",
    "[Count|Count up] starting at {a} until {b}.",
    "[List|Give me|Say|Write|Write down|Show me] the numbers from {a} to {b}.",
    "Numbers from {a} to {b}",
    "Numbers between {a} and {b}, in order",
    "Start at {a} and count to {b}.",
    "Count {a} to {b}",
)
UP_ASKED_NEW = expand(
    "Will you count from {a} to {b}?",
    "Please write the numbers from {a} to {b}.",
    "Please list the numbers from {a} to {b}.",
    "Start from {a} and count up to {b}.",
)
TO_ASKED = expand(
    "[Count|Please count|Can you count|Count up|Could you count|Count for me] to {b}.",
    "[Count|Can you count] up to {b}.",
    "[List|Say|Write|Give me] the numbers up to {b}.",
)
TO_ASKED_NEW = expand("Will you count to {b}?", "Please count up to {b}.")
DOWN_ASKED = expand(
    "[Count|Please count|Can you count|Count for me] [down|backwards] from {a} to {b}.",
    "[Count down|Count backwards|Countdown] starting at {a} until {b}.",
    "Start at {a} and count [down|backwards] to {b}.",
    "Countdown from {a} to {b}",
    "[List|Give me] the numbers from {a} down to {b}.",
)
DOWN_ASKED_NEW = expand(
    "Could you count down from {a} to {b}?", "Say the numbers from {a} down to {b}."
)
BY_ASKED = expand(
    "[Count|Please count|Can you count|Count up] by {steps} from {a} to {b}.",
    "[Count|Please count] from {a} to {b} by {steps}.",
    "[Count|Please count] from {a} to {b} in {steps}.",
    "[Count|Can you count] in {steps} from {a} to {b}.",
    "Go from {a} to {b} in steps of {step}.",
    "Count from {a} to {b} in steps of {step}.",
)
BY_ASKED_NEW = expand(
    "Could you count by {steps} from {a} to {b}?", "Count in steps of {step} from {a} to {b}."
)
AFTER_ASKED = expand(
    "[What|Which] number comes [after|right after|next after] {a}?",
    "[What|Which] number follows {a}?",
    "What comes after {a}?",
    "[What is|What's|Tell me] the [next number|number] after {a}?",
)
AFTER_ASKED_NEW = expand("Tell me which number comes after {a}.", "Which is the number after {a}?")
BEFORE_ASKED = expand(
    "[What|Which] number comes [before|right before|just before] {a}?",
    "What comes before {a}?",
    "[What is|What's|Tell me] the [number|previous number] before {a}?",
)
BEFORE_ASKED_NEW = expand(
    "Tell me which number comes before {a}.", "Which is the number before {a}?"
)


def counted(numbers: Sequence[int]) -> str:
    """`From 1 to 3: 1, 2, 3.`

    Saying the end first, in digits, gives the model something to stop at.
    """
    return f"From {numbers[0]} to {numbers[-1]}: {', '.join(map(str, numbers))}."


def _sums(sign: str, highest: int) -> Iterator[Fact]:
    """Every sum, in digits (twice as often) and in words."""
    operate = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}[sign]
    for a in range(highest + 1):
        for b in range(highest + 1):
            result = operate(a, b)
            done = {"answer": f"{a} {sign} {b} = {result}.", "expect": f"= {result}."}
            yield {"a": str(a), "b": str(b), **done}
            yield {"a": str(a), "b": str(b), **done}
            yield {"a": WORDS[a], "b": WORDS[b], **done}


def _count_facts(step: int) -> Iterator[Fact]:
    """Short counts from anywhere, a few long ones; downwards if `step` is -1."""
    for a in range(MAX_COUNT + 1):
        for length in (*SHORT_COUNTS, *LONG_COUNTS):
            b = a + step * (length - 1)
            if not 0 <= b <= MAX_COUNT or (length in LONG_COUNTS and a % 10 > 1):
                continue
            answer = counted(range(a, b + step, step))
            yield {"a": str(a), "b": str(b), "answer": answer}
            if a <= MAX_TERM and b <= MAX_TERM:
                yield {"a": WORDS[a], "b": WORDS[b], "answer": answer}


def _count_to_facts() -> Iterator[Fact]:
    for b in range(2, MAX_COUNT + 1):
        answer = counted(range(1, b + 1))
        # Long counts cost many tokens: the short ones come more often.
        for _ in range(3 if b <= MAX_TERM else 1):
            yield {"b": str(b), "answer": answer}
        if b <= MAX_TERM:
            yield {"b": WORDS[b], "answer": answer}


def _count_by_facts() -> Iterator[Fact]:
    steps = ((2, "twos"), (2, "2s"), (5, "fives"), (5, "5s"), (10, "tens"), (10, "10s"))
    for step, steps_word in steps:
        for a in (0, 1, 2) if step == 2 else (0, step):
            for length in range(3, 12):
                b = a + step * (length - 1)
                if b <= 2 * MAX_COUNT:
                    answer = counted(range(a, b + 1, step))
                    names = {"step": str(step), "steps": steps_word}
                    yield {"a": str(a), "b": str(b), "answer": answer, **names}


def _counting(
    weight: float, asked: tuple[str, ...], asked_new: tuple[str, ...], facts: Iterator[Fact]
) -> Intent:
    return Intent("counting", weight, asked, asked_new, tuple(facts), expect="{answer}")


def _sum(
    sign: str, weight: float, highest: int, asked: tuple[str, ...], asked_new: tuple[str, ...]
) -> Intent:
    facts = tuple(_sums(sign, highest))
    follow_ups = (f"And {{a}} {sign} {{b}}?", f"{{a}} {sign} {{b}}?")
    return Intent(
        "arithmetic", weight, asked, asked_new, facts, expect="{expect}", follow_ups=follow_ups
    )


def _neighbours(step: int) -> Iterator[Fact]:
    for a in range(1, MAX_COUNT + 1):
        yield {"a": str(a), "result": str(a + step)}


def _chance(weight: float, asked: tuple[str, ...], answers: Sequence[str]) -> Intent:
    """Every answer is equally right, so that sampling has something to choose from."""
    return Intent("chance", weight, asked, facts=tuple({"answer": answer} for answer in answers))


INTENTS = (
    _sum("+", 8, MAX_TERM, ADDITION_ASKED, ADDITION_ASKED_NEW),
    _sum("-", 8, MAX_TERM, SUBTRACTION_ASKED, SUBTRACTION_ASKED_NEW),
    _sum("*", 5, MAX_FACTOR, MULTIPLICATION_ASKED, MULTIPLICATION_ASKED_NEW),
    _counting(4, UP_ASKED, UP_ASKED_NEW, _count_facts(1)),
    _counting(2, TO_ASKED, TO_ASKED_NEW, _count_to_facts()),
    _counting(2.5, DOWN_ASKED, DOWN_ASKED_NEW, _count_facts(-1)),
    _counting(2, BY_ASKED, BY_ASKED_NEW, _count_by_facts()),
    Intent(
        "counting",
        1,
        AFTER_ASKED,
        AFTER_ASKED_NEW,
        tuple(_neighbours(1)),
        answer="After {a} comes {result}.",
        expect="comes {result}.",
    ),
    Intent(
        "counting",
        1,
        BEFORE_ASKED,
        BEFORE_ASKED_NEW,
        tuple(_neighbours(-1)),
        answer="Before {a} comes {result}.",
        expect="comes {result}.",
    ),
    _chance(
        1,
        expand(
            "[Pick|Choose|Give me|Say|Tell me] a [random number|number] between 1 and 100.",
            "[Pick|Choose|Give me|Say|Tell me] a random number.",
            "Random number",
        ),
        [f"{number}." for number in range(1, 101)],
    ),
    _chance(
        0.5,
        expand("[Roll|Throw] a [die|dice].", "[Roll|Throw] the dice.", "Can you roll a die?"),
        [f"{number}." for number in range(1, 7)],
    ),
    _chance(
        0.5,
        expand("[Flip|Toss|Throw] a coin.", "Heads or tails?", "Can you flip a coin?"),
        ["Heads.", "Tails."],
    ),
)


def _sequence_facts() -> Iterator[Fact]:
    for a in range(MAX_COUNT - 8):
        for known in range(3, 6):
            rest = ", ".join(str(a + known + i) for i in range(5))
            yield {"known": ", ".join(str(a + i) for i in range(known)), "rest": rest}


TEXTS = (
    Intent(
        "text",
        1.5,
        ("{a} + {b} =",),
        facts=tuple(
            {"a": str(a), "b": str(b), "result": str(a + b)}
            for a in range(MAX_TERM + 1)
            for b in range(MAX_TERM + 1)
        ),
        answer=" {result}.",
        expect="{result}.",
    ),
    Intent(
        "text",
        1,
        ("{known},",),
        facts=tuple(_sequence_facts()),
        answer=" {rest}.",
        expect="{rest}.",
    ),
)
