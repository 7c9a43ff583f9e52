"""The text anynode-demo learns from: the same for the same seed, complete, and apart from the exam.

The generator is standard library only, so these tests need no training environment.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from jinja2 import Environment

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))  # scripts are programs, not an installed package

from demo_corpus import (  # noqa: E402
    CHAT_TEMPLATE,
    END,
    Document,
    Message,
    held_out_questions,
    render,
    training_documents,
)
from demo_corpus.countries import CAPITAL_NOTES, CITY_NOTES, COUNTRIES, NAME_WORDS  # noqa: E402
from demo_corpus.documents import CHAT_INTENTS, normalise  # noqa: E402
from demo_corpus.intents import Intent, expand  # noqa: E402
from demo_corpus.noise import misspell, mistype, restyle  # noqa: E402

NUM_DOCUMENTS = 20_000


def text(document: Document) -> str:
    return "".join(span.text for span in document)


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return list(islice(training_documents(seed=1), NUM_DOCUMENTS))


def user_questions(documents: list[Document]) -> set[str]:
    asked = set()
    for document in documents:
        turns = text(document).split("<|im_start|>user\n")[1:]
        asked.update(normalise(turn.split(END)[0]) for turn in turns)
    return asked


def test_the_same_seed_gives_the_same_text(documents: list[Document]) -> None:
    assert list(islice(training_documents(seed=1), 500)) == documents[:500]
    assert list(islice(training_documents(seed=2), 500)) != documents[:500]


def test_the_exam_is_always_the_same() -> None:
    assert held_out_questions() == held_out_questions()


def test_no_exam_question_is_ever_trained(documents: list[Document]) -> None:
    asked = user_questions(documents)
    assert len(asked) > NUM_DOCUMENTS / 2
    assert not asked & {normalise(question.text) for question in held_out_questions()}


@pytest.mark.parametrize("intent", CHAT_INTENTS, ids=lambda intent: intent.asked[0])
def test_exam_phrasings_and_cells_stay_out_of_training(intent: Intent) -> None:
    assert not set(intent.asked) & set(intent.asked_new)
    drawn = {intent.draw(Random(seed)).text for seed in range(200)}
    held_out = {
        intent.question(phrasing, fact).text
        for phrasing in intent.asked[:3]
        for fact in intent.facts
        if intent.holds_out(phrasing, fact)
    }
    trained = {
        intent.question(phrasing, fact).text
        for phrasing in intent.asked
        for fact in intent.facts
        if not intent.holds_out(phrasing, fact)
    }
    assert drawn <= trained
    assert not drawn & (held_out - trained)


@pytest.mark.parametrize("intent", CHAT_INTENTS, ids=lambda intent: intent.asked[0])
def test_every_fact_can_be_trained(intent: Intent) -> None:
    for fact in intent.facts:
        assert any(not intent.holds_out(phrasing, fact) for phrasing in intent.asked)


@pytest.mark.parametrize("intent", CHAT_INTENTS, ids=lambda intent: intent.asked[0])
def test_the_right_answer_passes_the_exam(intent: Intent) -> None:
    for fact in (*intent.facts, *intent.facts_new):
        question = intent.question(intent.asked[0], fact)
        assert question.answer
        assert question.expect in question.answer


def test_all_countries_are_there_with_unambiguous_names() -> None:
    assert len(COUNTRIES) == 193 + 2 + 2  # United Nations, observers, Kosovo and Taiwan
    names = [name for country in COUNTRIES for name in country.names]
    cities = [city for country in COUNTRIES for city in country.cities]
    assert len(set(names)) == len(names)
    assert len(set(cities)) == len(cities)


def test_notes_belong_to_countries_and_their_capitals() -> None:
    assert set(CAPITAL_NOTES) <= {country.name for country in COUNTRIES}
    assert set(CITY_NOTES) <= {country.capital for country in COUNTRIES}


def test_training_names_every_country_and_capital(documents: list[Document]) -> None:
    everything = "\n".join(map(text, documents))
    for country in COUNTRIES:
        assert country.name in everything
        assert country.capital in everything


def test_every_document_teaches_something_and_ends(documents: list[Document]) -> None:
    for document in documents:
        learnt = [span.text for span in document if span.learn]
        assert learnt
        assert learnt[-1].endswith(END)


def test_training_text_is_what_the_chat_template_renders() -> None:
    messages = [
        Message("system", "Be brief."),
        Message("user", " Capital of France? "),
        Message("assistant", "The capital of France is Paris."),
        Message("user", "Thanks"),
    ]
    template = Environment(autoescape=False).from_string(CHAT_TEMPLATE)
    turns = [{"role": message.role, "content": message.content} for message in messages]
    rendered = template.render(messages=turns, add_generation_prompt=True)
    assert rendered == text(render(messages)) + "<|im_start|>assistant\n"


def test_only_answers_are_learnt() -> None:
    spans = render([Message("user", "Hi"), Message("assistant", "Hello!")])
    assert [span.text for span in spans if span.learn] == [f"Hello!{END}"]


def test_expand_spells_out_choices() -> None:
    assert expand("[What is|What's] it [now|]?") == (
        "What is it now?",
        "What is it?",
        "What's it now?",
        "What's it?",
    )


def test_misspelling_changes_one_known_word() -> None:
    assert misspell("the answer", Random(0)) != "the answer"
    assert misspell("Niger", Random(0)) == "Niger"


def test_no_typo_makes_one_name_of_another() -> None:
    for seed in range(2000):
        slipped = mistype("Niger", Random(seed))
        assert slipped == "Niger" or slipped.lower() not in NAME_WORDS


def test_style_never_touches_digits() -> None:
    question = "What is 17 + 5?"
    for seed in range(500):
        digits = "".join(c for c in restyle(question, Random(seed)) if c.isdigit())
        assert digits == "175"


def test_shipped_sample_is_part_of_the_exam() -> None:
    path = ROOT / "models" / "anynode-demo" / "eval.jsonl"
    exam = {(q.text, q.expect, q.category) for q in held_out_questions()}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(rows) >= 100
    assert {(row["question"], row["expect"], row["category"]) for row in rows} <= exam
