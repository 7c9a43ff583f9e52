"""The simulated replica against what is known exactly of queues."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.bench.arrivals import Poisson
from inference.plan.simulation.server import Request, Server, Speeds, run


def speeds(slots: int = 4, kv_tokens: int = 1000, prefill_s=0.1, step_s=0.01) -> Speeds:
    return Speeds(slots, kv_tokens, lambda tokens: prefill_s, lambda batch, tokens: step_s)


def served(servers: list[Server], requests: list[Request]) -> list[Server]:
    run(servers, requests)
    return servers


def test_one_request_takes_its_prefill_and_its_steps() -> None:
    (server,) = served([Server(speeds())], [Request(1.0, 10, 5)])
    (answer,) = server.answered
    assert answer.first_token_s == pytest.approx(1.1)
    assert answer.end_s == pytest.approx(1.1 + 4 * 0.01)


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_one_slot_and_one_token_are_an_m_d_1_queue(load: float) -> None:
    """Pollaczek and Khinchine: a mean wait of load x service / 2 (1 - load)."""
    service_s, number = 0.1, 12_000
    times = itertools.islice(Poisson(load / service_s, seed=3).offsets_s(), number)
    (server,) = served([Server(speeds(1, 1000, service_s))], [Request(at, 1, 1) for at in times])
    waits = [each.end_s - each.request.at_s - service_s for each in server.answered]
    expected = load * service_s / (2 * (1 - load))
    assert sum(waits) / number == pytest.approx(expected, rel=0.1)
    assert server.busy_s / server.now_s == pytest.approx(load, rel=0.03)


def test_a_request_in_a_step_waits_for_its_end() -> None:
    (server,) = served([Server(speeds())], [Request(0.0, 10, 50), Request(0.105, 10, 1)])
    second = next(each for each in server.answered if each.request.at_s == 0.105)
    assert second.first_token_s == pytest.approx(0.1 + 0.01 + 0.1)  # a step, then its prefill


def test_more_than_the_memory_holds_wait_and_it_is_said_why() -> None:
    requests = [Request(0.0, 300, 200)] * 4
    (server,) = served([Server(speeds(slots=8))], requests)
    assert server.blocked_s["KV memory"] > 0
    assert server.blocked_s["slots"] == 0
    (server,) = served([Server(speeds(slots=1))], requests)
    assert server.blocked_s["slots"] > 0
    assert server.blocked_s["KV memory"] == 0


def test_a_request_longer_than_all_memory_is_refused_not_waited_for() -> None:
    (server,) = served([Server(speeds())], [Request(0.0, 900, 200), Request(0.1, 10, 2)])
    assert [len(server.refused), len(server.answered)] == [1, 1]


requests = st.lists(
    st.builds(
        Request,
        st.floats(0, 5, allow_nan=False),
        st.integers(1, 700),
        st.integers(1, 500),
    ),
    max_size=30,
).map(lambda each: sorted(each, key=lambda request: request.at_s))


@settings(max_examples=60, deadline=None)
@given(requests, st.integers(1, 3), st.integers(1, 5))
def test_every_request_is_answered_once_or_refused(
    asked: list[Request], replicas: int, slots: int
) -> None:
    servers = served([Server(speeds(slots)) for _ in range(replicas)], asked)
    found = [each.request for server in servers for each in server.answered]
    found += [each for server in servers for each in server.refused]
    assert sorted(map(repr, found)) == sorted(map(repr, asked))
    for server in servers:
        assert server.ongoing == 0
        assert server.busy_s <= server.now_s + 1e-9
        for each in server.answered:
            assert each.request.at_s < each.first_token_s <= each.end_s


@settings(max_examples=40, deadline=None)
@given(requests, st.integers(1, 5))
def test_slots_and_memory_are_never_over_committed(asked: list[Request], slots: int) -> None:
    (server,) = served([Server(speeds(slots))], asked)
    events = sorted(
        itertools.chain.from_iterable(
            ((each.first_token_s, 1, each), (each.end_s, 0, each))
            for each in server.answered
            if each.end_s > each.first_token_s
        ),
        key=lambda event: event[:2],
    )
    running, tokens = 0, 0
    for _, starts, each in events:
        sign = 1 if starts else -1
        running += sign
        tokens += sign * (each.request.prompt_tokens + each.request.output_tokens)
        assert running <= slots
        assert tokens <= 1000


def test_the_same_load_gives_the_same_times() -> None:
    chance = random.Random(1)
    asked = [Request(number / 10, chance.randint(1, 99), 20) for number in range(50)]
    first, second = (served([Server(speeds()) for _ in range(2)], asked) for _ in range(2))
    assert [each.answered for each in first] == [each.answered for each in second]


def test_equal_replicas_share_a_load() -> None:
    asked = [Request(number / 100, 10, 20) for number in range(100)]
    servers = served([Server(speeds()) for _ in range(4)], asked)
    numbers = [len(server.answered) for server in servers]
    assert max(numbers) - min(numbers) <= 10
