"""`make bench`: what serving costs, what continuous batching gains, how near memory speed we are.

A benchmark prints its hardware and ratios within one run; it never fails a build.
"""
