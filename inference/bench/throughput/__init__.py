"""The on-premises throughput benchmark: its parameter file, its prompts, its loads."""
