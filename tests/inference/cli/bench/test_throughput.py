"""`anynode bench throughput` as its users run it."""

from __future__ import annotations

import csv
import json

import pytest

from inference.bench.report import files
from inference.bench.report.model import ServerReport
from inference.bench.safety import ENDPOINT_VARIABLE, KEY_VARIABLE
from inference.bench.throughput.parameters import Parameters
from inference.cli.bench.options import How, Whom
from inference.cli.bench.throughput import with_parameters, yardsticks
from tests.inference.bench import misbehaving as bad
from tests.inference.bench.fake_azure import fake_azure
from tests.inference.bench.misbehaving import GOOD, misbehaving
from tests.inference.bench.prompts.tokenizers import byte_level_bpe
from tests.serving.http.live import echo, live

# The columns of the tool that this replaces; its own file lacks the last one.
COLUMNS = [
    "Number of Concurrent Requests",
    "P50 Latency (ms)",
    "P99 Latency (ms)",
    "RPS",
    "Output Tokens per Second",
    "Output Tokens per Second per GPU",
    "Input Tokens per Second",
    "Input Tokens per Second per GPU",
    "Average Output Tokens per Second per Request",
    "Number of Requests Below Threshold",
]
SHORT = {"MAX_NEW_TOKENS": 8, "CONCURRENT_LEVELS": [1, 4], "THRESHOLD_TPS": 1_000_000}
QUICK = ("--prompt-length", 25, "--requests-per-level", 8, "--warmup", 1)


@pytest.fixture
def measure(anynode, tmp_path, monkeypatch):
    """Runs the command on a parameter file and gives its outcome, report and table."""
    for name in (ENDPOINT_VARIABLE, KEY_VARIABLE):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments, **parameters):
        path = tmp_path / "parameters.json"
        path.write_text(json.dumps({**SHORT, **parameters}))
        out = tmp_path / "out"
        done = anynode("bench", "throughput", "--params", path, "-o", out, *arguments)
        if done.code:
            return done, None, None
        with (tmp_path / "out.performance_metrics.csv").open() as file:
            rows = list(csv.DictReader(file))
        return done, files.read(tmp_path / "out.json"), rows

    return run


def test_every_level_has_all_the_tools_columns(measure):
    with live(max_num_seqs=4) as server:
        done, report, rows = measure(*QUICK, MODEL_ENDPOINTS=[f"{server.url}/v1/chat/completions"])
    assert done.code == 0, done.err
    assert report.kind == "throughput"
    assert [run.name for run in report.runs] == ["concurrency 1", "concurrency 4"]
    assert [run.requests.succeeded for run in report.runs] == [8, 8]
    assert [run.tokens.output for run in report.runs] == [64, 64]
    assert report.runs[0].ttft_ms is None  # as the tool: no streams
    assert [list(row) for row in rows] == [COLUMNS, COLUMNS]
    for row, run in zip(rows, report.runs, strict=True):
        assert int(row[COLUMNS[0]]) == run.load.concurrency
        assert float(row["RPS"]) == pytest.approx(run.throughput.requests_per_s)
        assert int(row[COLUMNS[-1]]) == 8
        assert "" not in row.values()


def test_settings_are_those_in_force(measure):
    with live() as server:
        _, report, _ = measure(server.url, *QUICK, SYS_PROMPT="Be kind.", API_KEY="a secret")
    assert report.settings["urls"] == [server.url]
    assert report.settings["model"] == "echo"
    assert report.settings["MAX_NEW_TOKENS"] == 8
    assert report.settings["safety"] == "none"
    assert report.settings["prompt_length"] == "25"
    assert "a secret" not in report.model_dump_json()
    assert report.notes[0].startswith("API_KEY")


def test_a_gpus_share_needs_somebody_who_knows_how_many_there_are(measure):
    with live(max_num_seqs=4) as server:
        _, report, rows = measure(server.url, *QUICK, "--gpus", 2)
    whole, share = rows[0][COLUMNS[4]], rows[0][COLUMNS[5]]
    assert float(share) == pytest.approx(float(whole) / 2)
    assert report.runs[0].throughput.input_tokens_per_s_per_gpu is not None
    unknown = ServerReport(url="u")
    known = ServerReport(url="v", num_gpus=4, num_cores=8)
    assert yardsticks([known, known], Parameters(), How()).num_gpus == 8
    assert yardsticks([known, unknown], Parameters(), How()).num_gpus is None
    assert yardsticks([known, unknown], Parameters(), How(gpus=3)).num_gpus == 3


def test_random_tokens_go_to_completions_and_are_as_many_as_asked(measure, tmp_path):
    with misbehaving(bad.says(GOOD)) as server:
        done, report, _ = measure(
            *("--mode", "completion", "--stream", "--model", "m", "--warmup", 0),
            CONCURRENT_LEVELS=[2],
            MODEL_ENDPOINTS=[f"{server.url}/v1/chat/completions"],
            TOKENIZER_PATH=byte_level_bpe(tmp_path),
            RANDOM_PROMPT_LENGTH=33,
            TEMPERATURE=0,
            TOP_P=0.5,
        )
    assert done.code == 0, done.err
    asked = [(head, body) for head, body in server.requests if head.startswith("POST")]
    assert len(asked) == 32
    assert all(head.startswith("POST /v1/completions ") for head, _ in asked)
    bodies = [json.loads(body) for _, body in asked]
    assert all(len(body["prompt"]) == 33 for body in bodies)
    assert all(isinstance(token, int) for body in bodies for token in body["prompt"])
    assert len({tuple(body["prompt"]) for body in bodies}) == 32
    assert {body["max_tokens"] for body in bodies} == {8}
    assert (bodies[0]["temperature"], bodies[0]["top_p"]) == (0, 0.5)
    assert report.runs[0].ttft_ms is not None
    assert "/v1/completions: --mode says which route" in report.notes[0]


def test_the_tools_prompt_file_is_asked_as_it_is(measure, tmp_path):
    path = tmp_path / "input.jsonl"
    path.write_text(json.dumps({"5": "abcde", "1k": "x" * 1000}))
    with live(max_num_seqs=4) as server:
        _, report, _ = measure(server.url, "--prompt-file", path, "--prompt-length", "5")
    assert [run.tokens.prompt for run in report.runs] == [32 * 5, 32 * 5]
    assert "All prompts are the same" in report.notes[0]


def test_repeats_are_rounds_beside_each_other_with_prompts_of_their_own(measure):
    with live(max_num_seqs=4) as server:
        _, report, rows = measure(server.url, *QUICK, "--repeats", 2, "--seed", 5)
    names = [(run.load.concurrency, run.round) for run in report.runs]
    assert names == [(1, 0), (1, 1), (4, 0), (4, 1)]
    assert [row[COLUMNS[0]] for row in rows] == ["1", "1", "4", "4"]
    assert len({run.answers_digest for run in report.runs}) == 4


def test_warm_up_and_requests_grow_with_the_level(measure):
    with live(max_num_seqs=16) as server:
        _, report, _ = measure(server.url, "--prompt-length", 5, CONCURRENT_LEVELS=[2, 12])
    assert [run.load.num_requests for run in report.runs] == [32, 36]
    assert [run.load.warmup_requests for run in report.runs] == [2, 12]


def test_requests_that_fail_are_counted_and_end_nothing(measure):
    with live(echo(tokens_per_s=100), max_num_seqs=1, max_queued_requests=0) as server:
        done, report, rows = measure(server.url, *QUICK)
    assert done.code == 0, done.err
    assert len(rows) == 2
    crowded = report.runs[1].requests
    assert crowded.failed > 0
    assert crowded.succeeded + crowded.failed == 8
    assert crowded.errors[0].kind == "http_429"
    assert "http_429" in done.out


def test_the_time_of_simulated_checks_is_in_the_latency_and_apart(measure):
    with live(max_num_seqs=4) as server:
        _, report, _ = measure(server.url, *QUICK, "--safety", "simulate:0.05", SAFE_CHECK=True)
    run = report.runs[0]
    assert run.safety_ms is not None
    assert run.e2el_ms is not None
    assert 95 < run.safety_ms.min <= run.e2el_ms.min  # an event loop's timers may be early
    assert report.settings["safety"] == "simulate:0.05"


@pytest.mark.parametrize("mode", ["chat", "completion"])
def test_azure_checks_what_is_said_and_answered(measure, monkeypatch, tmp_path, mode):
    """Random prompts are then text, exactly as long: token ids could not be checked."""
    length = () if mode == "completion" else ("--prompt-length", 25)
    with fake_azure(unsafe_word="nowhere") as azure, live(max_num_seqs=4) as server:
        azure.set_in(monkeypatch)
        done, report, _ = measure(
            *(server.url, "--mode", mode, "--requests-per-level", 4, "--warmup", 0, *length),
            SAFE_CHECK=True,
            CONCURRENT_LEVELS=[2],
            RANDOM_PROMPT_LENGTH=20,
            TOKENIZER_PATH=byte_level_bpe(tmp_path),
        )
    assert done.code == 0, done.err
    assert report.runs[0].requests.succeeded == 4
    assert len(azure.texts) == 8
    assert all(azure.texts)
    assert report.settings["safety"] == "azure"


def test_checks_work_in_several_processes_too(measure):
    with live(max_num_seqs=4) as server:
        done, report, _ = measure(
            *(server.url, *QUICK, "--safety", "simulate:0", "--processes", 2),
            CONCURRENT_LEVELS=[4],
        )
    assert done.code == 0, done.err
    assert report.runs[0].requests.succeeded == 8
    assert report.runs[0].client.processes == 2


@pytest.mark.parametrize(
    ("arguments", "parameters", "said"),
    [
        ((), {}, "no URL"),
        (("http://u", "--requests-per-level", 3), {}, "give at least 4"),
        (("http://u",), {"SAFE_CHECK": True}, "--safety simulate:0.35 or --safety none"),
        (("http://u", "--safety", "often"), {}, "none of: none, azure, simulate:SECONDS"),
        (("http://u", "--prompt-length", "long"), {}, "--prompt-length: 'long'"),
        (("http://u", "--mode", "completion", "--prompt-length", "5"), {}, "--mode chat"),
        (("http://u", "--mode", "completion", "--prompt-file", "f"), {}, "--mode chat"),
        (("http://u",), {"TOKENIZER_PATH": "/nowhere"}, "/nowhere"),
        (("http://u",), {"TOP_P": 7}, "TOP_P"),
    ],
)
def test_mistakes_are_said_before_anything_is_asked(measure, arguments, parameters, said):
    done, *_ = measure(*arguments, **parameters)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_a_model_that_one_of_the_servers_lacks_is_said(measure):
    with live() as one, live(model_id="other") as other:
        done, *_ = measure(one.url, other.url, *QUICK)
    assert done.code == 2
    assert "other" in done.err


def test_servers_take_turns(measure):
    with live() as one, live() as other:
        done, report, _ = measure(one.url, other.url, *QUICK)
    assert done.code == 0, done.err
    assert [server.url for server in report.servers] == [one.url, other.url]


def test_options_go_before_the_file_and_the_file_before_the_environment(monkeypatch):
    monkeypatch.setenv("ANYNODE_API_KEY", "environment")
    given = {"MODEL_PATH": "m", "TOKENIZER_PATH": "t", "MODEL_HEADERS": {"AUTHORIZATION": "file"}}
    parameters = Parameters.model_validate(given)
    whom = with_parameters(Whom(), parameters)
    assert (whom.model, whom.tokenizer) == ("m", "t")
    assert whom.headers() == {"AUTHORIZATION": "file"}
    asked = Whom(model="n", tokenizer="u", header=["Authorization: option"])
    whom = with_parameters(asked, parameters)
    assert (whom.model, whom.tokenizer) == ("n", "u")
    assert whom.headers() == {"Authorization": "option"}
    assert with_parameters(Whom(), Parameters()).headers() == {
        "Authorization": "Bearer environment"
    }
