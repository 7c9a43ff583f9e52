"""Libraries without a server, each as its own documentation shows it, in its own environment.

    python -m bench.cpu.peers.NAME WEIGHTS --num-threads N --max-num-seqs N --max-model-len N

`worker` is what they share: orders come in, measurements go out.
"""
