"""Prompts from files of every kind, and what is wrong with the others."""

from __future__ import annotations

import json
import pickle

import pytest

from inference.bench.prompts.dataset import DatasetPrompts
from inference.bench.prompts.tokenizer import BenchTokenizer
from serving.errors import ConfigError

TURNS = [{"role": "system", "content": "short"}, {"role": "user", "content": "hi"}]
SHAREGPT = [
    {"from": "system", "value": "x"},
    {"from": "human", "value": "What is two and two?"},
    {"from": "gpt", "value": "Two and two are four."},
]


def dataset(tmp_path, name, content, route="completions", **options):
    (tmp_path / name).write_text(content)
    return DatasetPrompts(tmp_path / name, route, **options)


def test_lines_of_json_may_say_prompt_text_and_length(tmp_path):
    lines = [{"prompt": "a", "max_tokens": 3}, {"text": "b", "output_tokens": 4}, "c"]
    prompts = dataset(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)))
    found = {(each.text, each.max_tokens) for each in map(prompts.prompt, range(3))}
    assert found == {("a", 3), ("b", 4), ("c", None)}


def test_a_text_becomes_a_turn_of_a_chat(tmp_path):
    prompt = dataset(tmp_path, "a.txt", "hello\n", "chat").prompt(0)
    assert prompt.messages == ({"role": "user", "content": "hello"},)


def test_messages_are_asked_as_they_are(tmp_path):
    prompt = dataset(tmp_path, "a.json", json.dumps([{"messages": TURNS}]), "chat").prompt(0)
    assert list(prompt.messages) == TURNS


def test_of_sharegpt_the_first_question_and_its_answers_length(tmp_path):
    tokenizer = BenchTokenizer("models/anynode-demo")
    content = json.dumps([{"id": "1", "conversations": SHAREGPT}])
    prompt = dataset(tmp_path, "a.json", content, tokenizer=tokenizer).prompt(0)
    assert prompt.text == SHAREGPT[1]["value"]
    assert prompt.max_tokens == tokenizer.count(SHAREGPT[2]["value"])
    assert prompt.num_tokens == tokenizer.count(prompt.text)


def test_prompts_are_shuffled_by_the_seed_and_come_again(tmp_path):
    lines = "\n".join(map(str, range(50)))

    def order(seed):
        prompts = dataset(tmp_path, "a.txt", lines, seed=seed)
        return [prompts.prompt(number).text for number in range(100)]

    assert order(1) == order(1) != order(2)
    assert order(1)[:50] == order(1)[50:]
    assert sorted(order(1)[:50], key=int) == lines.split()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "x", ".jsonl"),
        ("a.txt", "\n", "no prompt"),
        ("a.jsonl", "\n{", ":2: not JSON"),
        ("a.jsonl", "7", ":1: an entry must be"),
        ("a.jsonl", '{"promt": "x"}', ":1: it has no text"),
        ("a.jsonl", '{"prompt": ""}', ":1: it has no text"),
        ("a.jsonl", '{"prompt": "x", "max_tokens": 0}', ":1: max_tokens: 0"),
        ("a.json", "{}", "JSON list"),
        ("a.json", '["x", {"conversations": ["x"]}]', "entry 2: conversations must be a list"),
        ("a.json", '[{"conversations": [{"from": "gpt", "value": "x"}]}]', "no prompt"),
        ("a.json", '[\n"a"\n"b"]', ":3: not JSON"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path, name, content, words):
    with pytest.raises(ConfigError) as refused:
        dataset(tmp_path, name, content)
    assert words in refused.value.message
    assert name in refused.value.message


@pytest.mark.parametrize("route", ["completions", "generate", "embeddings"])
def test_messages_are_refused_where_texts_are_asked(tmp_path, route):
    with pytest.raises(ConfigError, match=f":1: messages are for --route chat, not {route}"):
        dataset(tmp_path, "a.jsonl", json.dumps({"messages": TURNS}), route)


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        (["hi"], "role and content"),
        ("hi", "role and content"),
        ([{"role": "user"}], "role and content"),
        ([{"role": "user", "content": [{"type": "text"}]}], "role and content"),
        ([], "at least one"),
    ],
)
def test_messages_must_be_turns_of_text(tmp_path, messages, words):
    with pytest.raises(ConfigError, match=words):
        dataset(tmp_path, "a.jsonl", json.dumps({"messages": messages}), "chat")


@pytest.mark.parametrize(
    ("turns", "answer"),
    [
        (SHAREGPT, SHAREGPT[2]["value"]),
        ([*SHAREGPT[:2], {"from": "human", "value": "Well?"}], None),
        (SHAREGPT[:2], None),
    ],
)
def test_an_answer_is_what_another_says_next(tmp_path, turns, answer):
    tokenizer = BenchTokenizer("models/anynode-demo")
    content = json.dumps([{"conversations": turns}])
    prompt = dataset(tmp_path, "a.json", content, tokenizer=tokenizer).prompt(0)
    assert prompt.text == SHAREGPT[1]["value"]
    assert prompt.max_tokens == (tokenizer.count(answer) if answer else None)


def test_conversations_in_which_nobody_asks_are_left_out(tmp_path):
    silent = [{"conversations": turns} for turns in ([], SHAREGPT[2:])]
    content = json.dumps([*silent, {"conversations": SHAREGPT}])
    prompts = dataset(tmp_path, "a.json", content)
    assert {prompts.prompt(number).text for number in range(9)} == {SHAREGPT[1]["value"]}


def test_another_process_asks_the_same(tmp_path):
    prompts = dataset(tmp_path, "a.txt", "a\nb\nc", "chat", seed=5)
    again = pickle.loads(pickle.dumps(prompts))
    assert [again.prompt(n) for n in range(5)] == [prompts.prompt(n) for n in range(5)]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"--dataset: .*No such file"):
        DatasetPrompts(tmp_path / "none.txt", "chat")
