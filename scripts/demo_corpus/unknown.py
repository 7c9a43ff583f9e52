"""What the model cannot know, and the one honest answer to it.

Half of these questions look like ones it can answer: capitals of countries that do not exist,
sums that are too large, other facts about real countries. They draw the line.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from .capitals import CAPITAL_ASKED, CAPITAL_ASKED_NEW, COUNTRY_ASKED, COUNTRY_ASKED_NEW
from .countries import COUNTRIES, NAME_WORDS
from .intents import Fact, Intent, expand
from .numbers import MAX_TERM

DONT_KNOW = "Sorry, I don't know that."

_NAMES_SEED = 7  # invented names are part of the corpus, whatever the training seed
_STARTS = expand(
    "[Zor|Kel|Bar|Mon|Tal|Vel|Dra|Fro|Gla|Hin|Jor|Kra|Lum|Mor|Nar|Ost|Pel|Qua|Ras|Syl|Tor]",
    "[Ulm|Ver|Wex|Xan|Yor|Zan|Bel|Cor|Dul|El|Fen|Gar|Hal|Is|Lor|Mar|Nim|Or|Pry|Ru|Sel|Tre|Um]",
    "[Vor|Win]",
)
_MIDDLES = expand(
    "[a|o|i|e|u|ba|do|ga|la|lo|ma|mi|na|ni|ra|ri|ro|ta|ti|va|vo|za|ban|dor|gon|len|mar|]",
)

_ENDS = expand(
    "[nia|ria|land|stan|via|dor|lia|ra|mia|don|gia|tia|via|nesia|burg|thia|wyn|ros]",
)

# People do ask for these; none is a country.
_FICTION = expand(
    "[Narnia|Gondor|Mordor|Westeros|Atlantis|Freedonia|Genovia|Latveria|Sokovia|Ruritania]",
    "[Utopia|Neverland|Lilliput|Panem|Oz|Hogwarts|Tatooine|Hyrule|Zamunda|Arendelle|Mars]",
    "[Jupiter|Asgard|Avalon|Wonderland|Fantasia]",
)
_FICTION_NEW = expand(
    "[Wakanda|Rohan|Eldorado|Krypton|Shangri-La|Zubrowka|Camelot|Venus]",
)
_REGIONS = expand(
    "[Texas|California|Florida|Bavaria|Catalonia|Quebec|Ontario|Queensland|Sicily|Tuscany]",
    "[Brittany|Siberia|Alaska|Hawaii|Ohio|Europe|Asia|Africa|Antarctica|Scandinavia]",
)
_OTHER_CITIES = expand(
    "[Sydney|New York|Toronto|Rio de Janeiro|Istanbul|Barcelona|Milan|Munich|Shanghai|Mumbai]",
    "[Lagos|Casablanca|Zurich|Geneva|Karachi|Hamburg|Lyon|Naples|Osaka|Kyoto|Chicago]",
    "[Los Angeles|Boston|Dubai|Auckland|Melbourne|Vancouver|Montreal|Antwerp|Porto|Seville]",
    "[Krakow|Johannesburg|Dallas]",
)

_ATTRIBUTES = expand(
    "[population|currency|president|prime minister|king|area|flag|national anthem|language]",
    "[religion|time zone|largest city|highest mountain|longest river|climate|history|GDP]",
    "[economy|national dish|president's name|internet domain|independence day]",
    "[form of government|biggest lake|phone code]",
)
_ATTRIBUTES_NEW = expand(
    "[queen|national bird|biggest river|second largest city|average income]",
)

_PEOPLE = expand(
    "[Albert Einstein|Napoleon|Shakespeare|Mozart|Cleopatra|Marie Curie|Isaac Newton|Picasso]",
    "[Leonardo da Vinci|Julius Caesar|Ada Lovelace|Alan Turing|Beethoven|Gandhi]",
    "[Nelson Mandela|the president|the pope|the queen of England|Taylor Swift|Lionel Messi]",
    "[Elon Musk|Barack Obama|Aristotle|Plato|Charles Darwin|Frida Kahlo|Muhammad Ali|Madonna]",
    "[my neighbour|my mother]",
)
_PEOPLE_NEW = expand(
    "[Galileo|Bill Gates|Michael Jackson|Confucius|Queen Victoria|my teacher]",
)

_THINGS = expand(
    "[gravity|a black hole|photosynthesis|the meaning of life|love|democracy|a transistor]",
    "[the internet|an atom|DNA|evolution|machine learning|a neural network|quantum physics]",
    "[the stock market|bitcoin|inflation|music|happiness|a database|Kubernetes|Python|Java]",
    "[Linux|a GPU|a compiler|chess|football|the moon|the sun|a star|a volcano|the ocean]",
    "[a dinosaur|an elephant|a cat|a dog|bread|chocolate|coffee|tea|pizza|cheese|gold|iron]",
    "[water|electricity|a car|a bicycle|a plane|time|philosophy|art|the speed of light|pi]",
    "[a prime number|the square root of two|the French Revolution|World War II]",
)
_THINGS_NEW = expand(
    "[a galaxy|relativity|economics|an enzyme|a violin|a tiger|silver|sugar|the Roman Empire]",
    "[tennis]",
)

_TASKS = expand(
    "[write a poem|write an essay|write a Python function|write a song|write a letter]",
    "[translate this|translate hello into French|fix my code|summarise this text]",
    "[draw a picture|play a game|recommend a film|recommend a book|plan my holiday]",
    "[book a flight|order a pizza|send an email|call my mother|set an alarm|cook dinner]",
    "[find a hotel|solve this equation|sort a list|sing a song|make me a sandwich|write SQL]",
    "[explain this code|do my homework|predict the future|search the web]",
    "[write a haiku about the sea|write a function that reverses a string|invent a recipe]",
    "[convert miles to kilometres|correct my grammar|give me advice|tell me a secret]",
    "[buy me a car]",
)
_TASKS_NEW = expand(
    "[write a limerick|book a hotel|translate a letter|paint a house|write a novel]",
)

GENERAL = expand(
    "What is the weather [like|] [today|tomorrow|in Paris|in London|in Berlin|here|now]?",
    "[Will it rain|Is it raining|Is it sunny|Will it snow] [today|tomorrow|now|in Paris]?",
    "[What time is it|What is the time|What's the time|What day is it today|What is today's date]?",
    "[What year is it|What is the date today|Which month is it now|What day is today]?",
    "Who won the [election|world cup|match|game|war|Oscar|Nobel prize] [last year|in 2018|today|]?",
    "[What is|Tell me] the price of [gold|oil|bitcoin|Apple shares|a house|milk|Tesla stock]?",
    "[How is|How are] [the stock market|Apple shares|the economy|bitcoin] doing today?",
    "What is my [name|age|password|address|phone number|birthday|favourite colour]?",
    "[Where am I|Who am I|How old am I|Where do I live|What am I thinking|What do I look like]?",
    "[How old are you|Where do you live|Do you have feelings|Do you dream|Are you happy]?",
    "[What is the news|What happened today|What happened yesterday|What's new in the world]?",
    "How far is it from [Paris|London|Berlin] to [Rome|Madrid|New York|the moon]?",
    "How [tall|high|old] is [Mount Everest|the Eiffel Tower|the Earth|the universe|Big Ben]?",
    "[What is the largest|What is the smallest|What is the oldest] [country|city|animal|planet]?",
    "[Who wrote|Who painted|Who composed] [Hamlet|the Mona Lisa|Faust|the Bible|Harry Potter]?",
    "How do I [bake bread|learn Chinese|fix a bike|lose weight|get rich|cook rice|tie a tie]?",
    "[Should I|Can I|May I] [buy a car|quit my job|marry|eat this|go to Spain|sleep]?",
    "[Why is the sky blue|Why is grass green|Why do cats purr|Why are we here|Why]?",
    "[What is heavier, a pound of gold or a pound of feathers|How many stars are there]?",
    "[What colour is the sky|What colour is a banana|What rhymes with orange|How do fish breathe]?",
    "[Is there life on Mars|Does God exist|Is the earth flat|Who will win|Are ghosts real]?",
)
GENERAL_NEW = expand(
    "What will the weather be like in [Madrid|Rome|Oslo]?",
    "Can you tell me the time?",
    "[How deep is the ocean|How many people live on Earth|Who discovered America]?",
    "What is the price of [silver|petrol]?",
    "Who won the race yesterday?",
    "What's my [surname|height]?",
)

# Keyboard noise and test words; a few are listed, the rest is rolled.
_TEST_WORDS = expand(
    "[test|testing|foo|foo bar|bar|baz|lorem ipsum|asdf|asdfgh|qwerty|abc|abc def|xyz|x|a]",
    "[aaa|blah|blah blah|bla|hm|hmm|???|...|!!!|-|123|12345|0|ping|this is a test]",
    "[Say this is a test|hello world program|word word word|the the the|banana]",
    "[apple banana cherry|ok computer|yes|no|maybe|why not]",
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _nonsense_words(count: int) -> list[str]:
    rng = Random(_NAMES_SEED)
    return ["".join(rng.choices(_LETTERS, k=rng.randint(2, 9))) for _ in range(count)]


NONSENSE = _nonsense_words(600)


def _nonsense_facts(words: list[str]) -> tuple[Fact, ...]:
    """One to six words without meaning."""
    rng = Random(_NAMES_SEED)
    return tuple({"noise": " ".join(rng.choices(words, k=rng.randint(1, 6)))} for _ in words)


def _invented(count: int, rng: Random) -> list[str]:
    """Names that sound like countries and are none."""
    names: dict[str, None] = {}
    while len(names) < count:
        name = rng.choice(_STARTS) + rng.choice(_MIDDLES) + rng.choice(_ENDS)
        if name.lower() not in NAME_WORDS:
            names[name] = None
    return list(names)


def _place_facts(slot: str) -> tuple[tuple[Fact, ...], tuple[Fact, ...]]:
    """Places without a capital: for training, and others for evaluation."""
    rng = Random(_NAMES_SEED)
    invented = _invented(2400, rng)
    known, new = invented[:2000], invented[2000:]
    # Listed repeatedly, so that real words do not drown among two thousand invented ones.
    known += (_FICTION + _REGIONS) * 12
    new += _FICTION_NEW * 12
    return tuple({slot: name} for name in known), tuple({slot: name} for name in new)


def _one_slot(slot: str, *values: str) -> tuple[Fact, ...]:
    return tuple({slot: value} for value in values)


def _large_sums() -> Iterator[Fact]:
    """Sums beyond what was taught; the line is drawn with a margin."""
    rng = Random(_NAMES_SEED)
    for _ in range(3000):
        a, b = rng.randint(3 * MAX_TERM, 9999), rng.randint(3 * MAX_TERM, 999)
        yield {"a": str(a), "b": str(b)}


def _attribute_facts(attributes: tuple[str, ...]) -> tuple[Fact, ...]:
    return tuple(
        {"attribute": attribute, "country": country.name}
        for attribute in attributes
        for country in COUNTRIES
    )


def _unknown(
    weight: float,
    asked: tuple[str, ...],
    asked_new: tuple[str, ...],
    facts: tuple[Fact, ...] = ({},),
    facts_new: tuple[Fact, ...] = (),
) -> Intent:
    return Intent(
        "unknown", weight, asked, asked_new, facts, facts_new, answer=DONT_KNOW, expect="don't know"
    )


_SUM_ASKED = expand(
    "[What is|What's|Calculate|How much is|] {a} [+|-|*|x|/|plus|minus|times|divided by] {b}?",
    "[Add|Multiply] {a} and {b}.",
)
_SUM_ASKED_NEW = expand("Can you work out {a} [+|-|*|times|divided by] {b}?")

INTENTS = (
    _unknown(6, CAPITAL_ASKED, CAPITAL_ASKED_NEW, *_place_facts("country")),
    _unknown(
        1, COUNTRY_ASKED, COUNTRY_ASKED_NEW, _one_slot("city", *_FICTION * 3, *_OTHER_CITIES * 2)
    ),
    _unknown(
        2.5,
        expand(
            "[What is|What's|Tell me|Do you know|Give me|Which is] the {attribute} of {country}?",
            "[What is|What's|Tell me] {country}'s {attribute}?",
            "{country} {attribute}",
        ),
        expand("Can you tell me the {attribute} of {country}?"),
        _attribute_facts(_ATTRIBUTES),
        _attribute_facts(_ATTRIBUTES_NEW),
    ),
    _unknown(
        1.5,
        expand(
            "[Who is|Who was|Tell me about|Do you know] {person}?",
            "[When|Where] was {person} born?",
            "How [old|tall|rich] is {person}?",
            "What did {person} do?",
            "What is {person} famous for?",
        ),
        expand("Can you tell me about {person}?", "What do you know about {person}?"),
        _one_slot("person", *_PEOPLE),
        _one_slot("person", *_PEOPLE_NEW),
    ),
    _unknown(
        2,
        expand(
            "[What is|What's|Explain|Describe|Define|Tell me about|Do you know] {thing}?",
            "[How does|Why does] {thing} [work|exist|matter]?",
            "Who invented {thing}?",
            "[What do you think about|Do you like|Where do I find|Why do people like] {thing}?",
            "How [big|old|expensive|heavy] is {thing}?",
            "Can you explain {thing}?",
        ),
        expand("Could you explain {thing}?", "What do you know about {thing}?"),
        _one_slot("thing", *_THINGS),
        _one_slot("thing", *_THINGS_NEW),
    ),
    _unknown(
        2,
        expand(
            "[Can you|Could you|Please|I want you to|Will you|Help me to] {task}.",
            "{task}",
            "How do I {task}?",
        ),
        expand("Would you please {task}?"),
        _one_slot("task", *_TASKS),
        _one_slot("task", *_TASKS_NEW),
    ),
    _unknown(2, _SUM_ASKED, _SUM_ASKED_NEW, tuple(_large_sums())),
    _unknown(2.5, GENERAL, GENERAL_NEW),
    _unknown(
        1,
        ("{noise}",),
        (),
        _nonsense_facts(NONSENSE[:500]) + _one_slot("noise", *_TEST_WORDS * 5),
        _nonsense_facts(NONSENSE[500:]),
    ),
)
