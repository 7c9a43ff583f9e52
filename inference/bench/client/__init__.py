"""One process' share of a run: connections, answers as they arrive, loops that offer load."""
