"""Capitals both ways: which city belongs to a country, and which country to a city."""

from __future__ import annotations

from collections.abc import Iterator

from .countries import CAPITAL_NOTES, CITY_NOTES, COUNTRIES, NATIONS
from .intents import Fact, Intent, expand

CAPITAL_ASKED = expand(
    "[What is|What's|Whats|Tell me|Give me] the capital of {country}?",
    "[Name|Do you know|Say|Which is] the capital of {country}?",
    "[What is|What's|Tell me|Name|Give me] the capital city of {country}?",
    "[What is|What's|Tell me|Name|Give me] {country}'s capital?",
    "[What is|What's|Tell me] {country}'s capital city?",
    "[Which|What] city is the capital [of|city of] {country}?",
    "[Can|Could] you tell me [the capital of|the capital city of] {country}?",
    "[Which|What] is the capital city in {country}?",
    "[Capital of|Capital city of|The capital of] {country}?",
    "{country} capital",
    "{country} capital city?",
    "{country}'s capital is?",
    "{country}'s capital?",
    "{country}: what is its capital?",
    "[I need|I want to know|I would like to know|I forgot|Remind me of] the capital of {country}.",
    "What do you call the capital of {country}?",
    "What is the name of the capital of {country}?",
    "What is the name of {country}'s capital?",
    "The capital of {country} is which city?",
    "The capital of {country} is what?",
    "[Which|What] city does {country} have as its capital?",
    "Where is the capital of {country}?",
    "Do you know what the capital of {country} is?",
    "Tell me what the capital of {country} is.",
    "What capital does {country} have?",
    "Please name {country}'s capital city.",
    "For {country}, what is the capital?",
    "Which capital belongs to {country}?",
    "{country} has which capital?",
    "In {country}, which city is the capital?",
)
CAPITAL_ASKED_NEW = expand(
    "[Can|Could] you name the capital of {country}?",
    "I would like you to tell me {country}'s capital.",
    "What's the name of {country}'s capital city?",
    "What is the capital called in {country}?",
    "Which city serves as the capital of {country}?",
    "As for {country}, what city is its capital?",
    "Do you happen to know the capital of {country}?",
    "Let me know what {country}'s capital is.",
    "Which is the capital city of {country}?",
)
COUNTRY_ASKED = expand(
    "{city} is the capital of [which|what] country?",
    "{city} is the capital of what?",
    "[Which|What] country has {city} as its capital?",
    "[Which|What] country has the capital {city}?",
    "[Which|What] country is {city} the capital of?",
    "[What is|What's] {city} the capital of?",
    "[Which|What] country's capital is {city}?",
    "Of [which|what] country is {city} the capital?",
    "{city} is the capital city of [which|what] country?",
    "[Tell me|Name|Give me|Say] the country whose capital is {city}.",
    "[Tell me|Name] the country that has {city} as its capital.",
    "Tell me which country {city} is the capital of.",
    "[Do you know|Can you tell me] which country {city} is the capital of?",
    "Which country does {city} belong to?",
    "[What|Which] country is {city} in?",
    "In which country is {city}?",
    "Where is {city}?",
    "Where's {city}?",
    "[What is|What's] {city}?",
    "{city} is in which country?",
    "{city} is where?",
    "{city}, which country is that?",
    "{city} belongs to which country?",
    "The city of {city} is the capital of which country?",
    "I want to know which country {city} is the capital of.",
    "Which nation's capital is {city}?",
    "Which nation has {city} as its capital?",
)
COUNTRY_ASKED_NEW = expand(
    "Which country calls {city} its capital?",
    "[Could|Can] you tell me the country whose capital is {city}?",
    "What country does {city} belong to?",
    "Which nation is {city} the capital of?",
    "Do you know where {city} is?",
    "Say which country has {city} as its capital.",
    "The capital {city} belongs to what country?",
)
CHECK_ASKED = expand(
    "Is {city} the capital of {country}?",
    "Is {city} [really|actually] the capital of {country}?",
    "Is the capital of {country} {city}?",
    "Is {country}'s capital {city}?",
    "{city} is the capital of {country}, right?",
    "{city} is the capital of {country}, isn't it?",
    "[Is it true|Is it right|Am I right] that {city} is the capital of {country}?",
    "The capital of {country} is {city}, right?",
    "I think {city} is the capital of {country}.",
    "Would you say {city} is the capital of {country}?",
)
CHECK_ASKED_NEW = expand(
    "Is it correct that {city} is the capital of {country}?",
    "The capital of {country} is {city}, isn't it?",
)

FOLLOW_UPS = expand("[And|What about|How about|And what about|Now] {thing}?", "And of {thing}?")


def _capital_facts() -> Iterator[Fact]:
    for country in (*COUNTRIES, *NATIONS):
        plain = f"The capital of {country.name} is {country.capital}."
        answer = CAPITAL_NOTES.get(country.name, plain)
        # The usual name counts twice: most people use it.
        for name in (country.name, *country.names):
            yield {"country": name, "answer": answer, "capital": country.capital}


def _country_facts() -> Iterator[Fact]:
    for country in COUNTRIES:
        plain = f"{country.capital} is the capital of {country.name}."
        answer = CITY_NOTES.get(country.capital, plain)
        for city in country.cities:
            yield {"city": city, "answer": answer, "country": country.name}


def _check_facts() -> Iterator[Fact]:
    """Every country with its own capital, and as often with some other one.

    The answer is the fact, without a yes or no: so small a model is bad at comparing two names.
    """
    plain = [country for country in COUNTRIES if country.name not in CAPITAL_NOTES]
    for i, country in enumerate(plain):
        answer = f"The capital of {country.name} is {country.capital}."
        for step in (1, 7, 29, 53):
            other = plain[(i + step) % len(plain)].capital
            yield {"city": country.capital, "country": country.name, "answer": answer}
            yield {"city": other, "country": country.name, "answer": answer}


def _asking(phrasings: tuple[str, ...], slot: str) -> tuple[str, ...]:
    """Follow-ups with `{thing}` named as the intent's facts name it."""
    return tuple(phrasing.replace("{thing}", slot) for phrasing in phrasings)


INTENTS = (
    Intent(
        "capital of a country",
        22,
        CAPITAL_ASKED,
        CAPITAL_ASKED_NEW,
        tuple(_capital_facts()),
        expect="{capital}",
        follow_ups=_asking(FOLLOW_UPS, "{country}"),
    ),
    Intent(
        "country of a capital",
        16,
        COUNTRY_ASKED,
        COUNTRY_ASKED_NEW,
        tuple(_country_facts()),
        expect="{country}",
        follow_ups=_asking(FOLLOW_UPS, "{city}"),
    ),
    Intent(
        "is it the capital",
        4,
        CHECK_ASKED,
        CHECK_ASKED_NEW,
        tuple(_check_facts()),
        expect="{answer}",
    ),
)

# Continued without any chat format, as /v1/completions does.
TEXTS = (
    Intent(
        "text",
        8,
        (
            "The capital of {country} is",
            "{country}'s capital is",
            "The capital city of {country} is",
        ),
        facts=tuple(
            {"country": country.name, "capital": country.capital}
            for country in COUNTRIES
            if country.name not in CAPITAL_NOTES
        ),
        answer=" {capital}.",
        expect="{capital}",
    ),
    Intent(
        "text",
        5,
        ("{city} is the capital of", "{city} is the capital city of"),
        facts=tuple(
            {"city": country.capital, "country": country.name}
            for country in COUNTRIES
            if country.capital not in CITY_NOTES
        ),
        answer=" {country}.",
        expect="{country}",
    ),
)
