"""Promises that several implementations keep: written once, run against each of them."""

import pytest

pytest.register_assert_rewrite("tests.contract.http_contract")
