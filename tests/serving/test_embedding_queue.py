"""Which texts are embedded together: bounded, of similar length, in fair turns, none lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.embedding_queue import BatchLimits, FairQueue, Waiting, least_length

MANY = BatchLimits(max_texts=1000, max_tokens=100_000)


def queue_of(*requests: list[int], limits: BatchLimits = MANY) -> tuple[FairQueue, list[Waiting]]:
    queue, waiting = FairQueue(limits), [Waiting.of(lengths) for lengths in requests]
    for each in waiting:
        queue.add(each)
    return queue, waiting


def batches(queue: FairQueue) -> list[list[tuple[Waiting, int]]]:
    taken = []
    while queue:
        taken.append(queue.next_batch())
    return taken


def test_texts_of_one_length_make_one_batch():
    queue, [one, other] = queue_of([20, 20], [20])
    assert batches(queue) == [[(one, 0), (one, 1), (other, 0)]]


def test_long_and_short_do_not_meet():
    queue, [_one] = queue_of([10, 100, 12, 90])
    assert [[number for _, number in batch] for batch in batches(queue)] == [[3, 1], [0, 2]]


def test_padding_is_at_most_a_quarter_or_a_few_tokens():
    assert least_length(100) == 75
    assert least_length(10) == 2


def test_a_batch_is_bounded_in_texts_and_in_padded_tokens():
    queue, _ = queue_of([20] * 10, limits=BatchLimits(max_texts=4, max_tokens=1000))
    assert [len(batch) for batch in batches(queue)] == [4, 4, 2]
    queue, _ = queue_of([20] * 10, limits=BatchLimits(max_texts=100, max_tokens=70))
    assert [len(batch) for batch in batches(queue)] == [3, 3, 3, 1]


def test_a_text_longer_than_a_batch_goes_alone():
    queue, [_one] = queue_of([200, 200, 5], limits=BatchLimits(max_texts=8, max_tokens=100))
    assert [[number for _, number in batch] for batch in batches(queue)] == [[1], [0], [2]]


def test_a_small_request_waits_for_one_batch_of_a_large_one():
    limits = BatchLimits(max_texts=4, max_tokens=1000)
    queue, [large] = queue_of([30] * 1000, limits=limits)
    queue.next_batch()
    small = Waiting.of([7])
    queue.add(small)
    assert {request for request, _ in queue.next_batch()} == {large}
    assert (small, 0) in queue.next_batch()


def test_room_the_leader_leaves_is_the_next_ones():
    queue, [one, other] = queue_of([30], [28, 29, 90], limits=BatchLimits(2, 1000))
    assert queue.next_batch() == [(one, 0), (other, 1)]
    assert queue.next_batch() == [(other, 2)]


def test_what_is_removed_is_not_embedded():
    queue, [one, other] = queue_of([5, 5], [5])
    queue.remove(one)
    queue.remove(one)
    assert batches(queue) == [[(other, 0)]]


lengths = st.lists(st.integers(1, 300), min_size=1, max_size=30)


@given(
    requests=st.lists(lengths, min_size=1, max_size=6),
    max_texts=st.integers(1, 16),
    max_tokens=st.integers(1, 2000),
)
def test_every_text_is_taken_once_in_batches_that_keep_the_limits(requests, max_texts, max_tokens):
    queue, waiting = queue_of(*requests, limits=BatchLimits(max_texts, max_tokens))
    assert queue.num_texts == sum(map(len, requests))
    length_of = dict(zip(waiting, requests, strict=True))
    taken = []
    for batch in batches(queue):
        taken += batch
        sizes = [length_of[request][number] for request, number in batch]
        assert 1 <= len(batch) <= max_texts
        assert len(batch) == 1 or len(batch) * max(sizes) <= max_tokens
        assert min(sizes) >= least_length(max(sizes))
    assert sorted(taken, key=id_of) == sorted(
        ((request, n) for request in waiting for n in range(len(length_of[request]))), key=id_of
    )


def id_of(text: tuple[Waiting, int]) -> tuple[int, int]:
    return id(text[0]), text[1]


@given(requests=st.lists(lengths, min_size=2, max_size=6), max_texts=st.integers(1, 4))
def test_each_is_served_within_as_many_batches_as_there_are_requests(requests, max_texts):
    queue, waiting = queue_of(*requests, limits=BatchLimits(max_texts, 10_000))
    first = [queue.next_batch() for _ in waiting if queue]
    served = {request for batch in first for request, _ in batch}
    assert served == set(waiting)
