"""The four chats of the stress test."""

from __future__ import annotations

import pickle

from inference.bench.prompts.short_chats import CHATS, ShortChats


def test_chats_come_in_turn_and_begin_where_the_seed_says():
    source = ShortChats(output_tokens=7)
    assert [source.prompt(number).messages for number in range(5)] == [*CHATS, CHATS[0]]
    assert ShortChats(7, seed=3).prompt(0).messages == CHATS[3]
    assert source.prompt(0).max_tokens == 7


def test_every_chat_ends_with_a_question_of_the_user():
    for chat in CHATS:
        roles = [message["role"] for message in chat]
        assert roles[0] == "system"
        assert roles[1::2] == ["user"] * len(roles[1::2])
        assert roles[-1] == "user"


def test_another_process_asks_the_same():
    source = ShortChats(7)
    assert pickle.loads(pickle.dumps(source)) == source
