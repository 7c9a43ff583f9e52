"""`anynode bench`: load over HTTP, real distributions, and a verdict.

Works against any OpenAI-compatible server; nothing here knows Ray or an engine.
"""
