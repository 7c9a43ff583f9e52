"""Whatever joins and leaves, decoding rows have no gaps and every sequence keeps its own KV."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from serving.kv_rows import KvRows

NUM_SEQUENCES = 4


class RowsMachine(RuleBasedStateMachine):
    """Carries out the moves on a list that stands for the memory."""

    def __init__(self):
        super().__init__()
        self.rows = KvRows(NUM_SEQUENCES)
        self.memory = [None] * (NUM_SEQUENCES + 1)
        self.reading, self.decoding, self.count = [], [], 0

    def carry_out(self, change):
        for move in change.moves:
            assert self.memory[move.source] == move.owner, "copies what was overwritten before"
            self.memory[move.target] = move.owner
        for row in change.vacated:
            self.memory[row] = None

    @precondition(lambda self: not self.rows.full)
    @rule()
    def join(self):
        self.count += 1
        owner = f"sequence {self.count}"
        row = self.rows.join(owner)
        assert self.memory[row] is None
        self.memory[row] = owner
        self.reading.append(owner)

    @precondition(lambda self: self.reading)
    @rule(pick=st.randoms())
    def start_decoding(self, pick):
        owner = pick.choice(self.reading)
        self.carry_out(self.rows.start_decoding(owner))
        self.reading.remove(owner)
        self.decoding.append(owner)

    @precondition(lambda self: self.reading or self.decoding)
    @rule(pick=st.randoms())
    def leave(self, pick):
        owner = pick.choice(self.reading + self.decoding)
        self.carry_out(self.rows.leave(owner))
        (self.reading if owner in self.reading else self.decoding).remove(owner)

    @invariant()
    def everybody_sits_where_the_table_says(self):
        owners = self.reading + self.decoding
        assert {self.rows.row_of(owner): owner for owner in owners} == {
            row: owner for row, owner in enumerate(self.memory) if owner is not None
        }
        assert set(self.rows.decoding) == set(self.decoding)
        assert [self.rows.row_of(owner) for owner in self.rows.decoding] == list(
            range(len(self.decoding))
        )


TestRows = RowsMachine.TestCase
TestRows.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
