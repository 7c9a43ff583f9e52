from __future__ import annotations

import re

import pytest

from inference.bench.compare import config
from inference.bench.compare.arms import PORT
from inference.bench.compare.plans import load_points
from serving.errors import ConfigError

WHOLE = """
arms:
  bare:
    command: [python, -m, server, --port, "{port}", --threads, 2]
    env: {SECRET: abc, PORT: "{port}"}
    start_timeout_s: 30
  ours: {url: "http://127.0.0.1:8000/cpu"}
baseline: ours
rounds: 7
exclusive: true
load: {concurrency: [1, 8], num_requests: {1: 4, 8: 16}, prompt_tokens: 32, slo: {ttft: 200}}
gates: ["bare/ours output_tokens_per_s >= 0.97  # fast", "bare error_rate <= 0.01 @ 8"]
"""


def read(tmp_path, text):
    path = tmp_path / "compare.yaml"
    path.write_text(text)
    return config.from_file(path)


def test_a_whole_file_is_read(tmp_path):
    found = read(tmp_path, WHOLE)
    assert (found.rounds, found.warmup_rounds, found.base()) == (7, 1, "ours")
    points = load_points(found.load)
    assert [(point.name, point.num_requests) for point in points] == [
        ("concurrency 1", 4),
        ("concurrency 8", 16),
    ]
    assert found.load.prompt_tokens == "32"
    arm = found.arms["bare"].arm("bare").on_port(4321)
    assert arm.url == "http://127.0.0.1:4321"
    assert arm.command == ("python", "-m", "server", "--port", "4321", "--threads", "2")
    assert arm.env["PORT"] == "4321"
    assert arm.ready == "/health"
    assert not found.arms["ours"].arm("ours").started_by_us


def test_a_value_of_the_environment_is_never_published(tmp_path):
    found = read(tmp_path, WHOLE)
    published = found.published()
    assert "abc" not in str(published)
    assert "abc" not in repr(found)
    assert published["arms"]["bare"]["env"] == ["PORT", "SECRET"]
    assert published["arms"]["ours"] == {"url": "http://127.0.0.1:8000/cpu"}
    assert published["load"]["concurrency"] == [1, 8]


def test_the_first_arm_is_the_baseline(tmp_path):
    found = read(tmp_path, "arms: {a: {url: 'http://h:1'}, b: {url: 'http://h:2'}}")
    assert found.base() == "a"
    assert [point.name for point in load_points(found.load)] == ["concurrency 8"]


TWO = "arms: {a: {url: 'http://h:1'}, b: {url: 'http://h:2'}}\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- a", "it must be a mapping"),
        ("arms: {a: {url: x", "compare.yaml:1"),
        ("arms:\n  a: {url: 'http://h'}\n  a: {url: 'http://i'}", "yaml:3: 'a' is there twice"),
        ("arms: {a: {url: 'http://h'}}", "arms: a comparison needs two"),
        ("rounds: 3", "Field required"),
        (TWO + "round: 3", "there is no key 'round' .*'rounds'"),
        (TWO + "rounds: 0", "rounds: Input should be greater than 0"),
        (TWO + "baseline: c", "baseline: no arm is called 'c'; there are a, b"),
        (TWO + "exclusive: true\npause_idle: true", "exclusive and pause_idle exclude each other"),
        (TWO + "must_match: [speed]", "must_match.0: "),
        (TWO + "must_match: [answers]\nload: {temperature: 1}", "alike at load.temperature 0"),
        (TWO + "load: {concurency: 8}", "load: there is no key 'concurency' .*'concurrency'"),
        (TWO + "load: {concurrency: 0}", "load.concurrency"),
        (TWO + "load: {concurrency: []}", "load.concurrency: it names no load"),
        (TWO + "load: {concurrency: [8, 8]}", "load.concurrency: 8 is there twice"),
        (TWO + "load: {concurrency: 8, request_rate: 2}", "exclude each other"),
        (TWO + "load: {num_requests: {1: 4}}", "num_requests: it must name each load once: 8"),
        (TWO + "load: {num_requests: many}", "load.num_requests: "),
        (TWO + "load: {prompt_tokens: long}", "load.prompt_tokens: 'long' is no length"),
        (TWO + "load: {dataset: x.txt, prefix_tokens: 3}", "prefix_tokens: the dataset brings"),
        (TWO + "load: {dataset: x.txt, output_tokens: '1:9'}", "output_tokens: .* one number"),
        (TWO + "load: {num_prefixes: 3}", "num_prefixes: it is for prefix_tokens"),
        (TWO + "load: {route: embeddings, top_p: 1}", "top_p: embeddings are not generated"),
        (TWO + "load: {route: chats}", "load.route: Input should be 'chat'"),
        (TWO + "load: {slo: {ttf: 3}}", "load.slo"),
        (TWO + "load: {extra_body: '{'}", "load.extra_body: it is not JSON"),
        (TWO + "load: {model: {a: m}}", "load.model: it must name each arm once; look at 'b'"),
        ("arms: {a: {}, b: {url: 'http://h'}}", "arms.a: it needs a url, or a command"),
        (
            "arms: {a: {url: 'ftp://h'}, b: {url: 'http://h'}}",
            "arms.a: url: ftp://h: it must begin",
        ),
        ("arms: {a: {url: 'http://h', env: {A: b}}, b: {url: 'http://h'}}", "env is for arms with"),
        ("arms: {a: {url: 'http://h:{port}'}, b: {url: 'http://h'}}", "{port} in the url is for"),
        ("arms: {a: {command: [x]}, b: {url: 'http://h'}}", "the command says no {port}"),
        ("arms: {a: {comand: [x]}, b: {url: 'http://h'}}", "arms.a: .*'comand' .*'command'"),
        ("arms: {'a b': {url: 'http://h'}, b: {url: 'http://h'}}", "'a b' is no name"),
    ],
)
def test_a_mistake_is_named_with_file_field_and_fix(tmp_path, text, reason):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert "compare.yaml" in caught.value.message
    assert re.search(reason.replace(PORT, re.escape(PORT)), caught.value.message)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        config.from_file(tmp_path / "none.yaml")


def test_a_command_line_says_lists_in_one_word():
    content = {
        "arms": {"a": {"url": "http://h"}, "b": {"url": "http://i"}},
        "load": {"request_rate": "2, 0.5", "num_requests": "2:10,0.5:5", "extra_body": '{"k": 1}'},
    }
    load = config.checked(content, str).load
    assert [(point.name, point.num_requests) for point in load_points(load)] == [
        ("2 requests/s", 10),
        ("0.5 requests/s", 5),
    ]
    assert load.extra_body == {"k": 1}
