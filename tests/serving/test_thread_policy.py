"""serving.thread_policy: what a process is told, its children inherit."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from serving import thread_policy

SAY = "import os; print(os.sched_getscheduler(0))"
PARENT = f"""
import subprocess, sys, threading
from serving.thread_policy import be_an_engine, wait_for_engines
def say():
    subprocess.check_call([sys.executable, "-c", {SAY!r}])
wait_for_engines()
say()
def engine():
    be_an_engine()
    say()
thread = threading.Thread(target=engine)
thread.start()
thread.join()
say()
"""


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="only Linux has the policy")
def test_children_inherit_the_policy_of_the_thread_that_starts_them():
    said = subprocess.check_output([sys.executable, "-c", PARENT], text=True)
    assert said.split() == [str(os.SCHED_BATCH), str(os.SCHED_OTHER), str(os.SCHED_BATCH)]


def test_where_it_is_forbidden_nothing_happens(monkeypatch):
    def forbidden(*_):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", forbidden, raising=False)
    thread_policy.wait_for_engines()
    thread_policy.be_an_engine()


def test_where_there_is_no_such_policy_nothing_happens(monkeypatch):
    monkeypatch.delattr(os, "SCHED_BATCH", raising=False)
    thread_policy.wait_for_engines()
