"""The real vLLM on a CPU, in its own environment: `make test-vllm`. One engine for all tests.

What holds on any device stands in the two contracts, which tests/gpu runs too.
"""

import pytest

pytest.register_assert_rewrite("tests.vllm.http_contract", "tests.vllm.request_contract")
