"""The whole application on real GPUs, NVIDIA's or AMD's: `make test-gpu`.

Every test serves a model as its users do, over Ray Serve. They run one after the other and want the
GPUs for themselves.
"""
