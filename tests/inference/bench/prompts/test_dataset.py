"""Prompts from files of every kind, and what is wrong with the others."""

from __future__ import annotations

import json

import pytest

from inference.bench.prompts.dataset import DatasetPrompts
from inference.bench.prompts.tokenizer import BenchTokenizer
from inference.bench.prompts.traced import TracedPrompts
from inference.bench.trace import Entry, Trace
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
        ("a.jsonl", '{"promt": "x"}', ":1: it has no prompt"),
        ("a.jsonl", '{"prompt": ""}', ":1: it has no prompt"),
        ("a.jsonl", '{"prompt": "x", "max_tokens": 0}', ":1: max_tokens: 0"),
        ("a.jsonl", '{"messages": []}', ":1: messages are for --route chat"),
        ("a.json", "{}", "JSON list"),
        ("a.json", '[{"conversations": [{"from": "gpt", "value": "x"}]}]', "entry 1: no turn"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path, name, content, words):
    with pytest.raises(ConfigError) as refused:
        dataset(tmp_path, name, content)
    assert words in refused.value.message
    assert name in refused.value.message


def test_messages_must_be_turns(tmp_path):
    with pytest.raises(ConfigError, match="role and content"):
        dataset(tmp_path, "a.jsonl", '{"messages": ["hi"]}', "chat")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"--dataset: .*No such file"):
        DatasetPrompts(tmp_path / "none.txt", "chat")


def test_a_traces_prompts_have_its_lengths():
    trace = Trace((Entry(0, 4, 9), Entry(1, 6, 8)))
    prompts = TracedPrompts(trace, "completions", tokenizer=None, seed=0)
    lengths = [(len(p.text.split()), p.max_tokens) for p in map(prompts.prompt, range(3))]
    assert lengths == [(4, 9), (6, 8), (4, 9)]
