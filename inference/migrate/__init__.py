"""Serve configs and manifests of 2023, rewritten for today."""
