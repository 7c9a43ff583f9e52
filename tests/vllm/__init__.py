"""The real vLLM on a CPU, in its own environment: `make test-vllm`. One engine for all tests."""
