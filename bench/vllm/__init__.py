"""`make bench-vllm`: what serving costs against bare vLLM, here and in Ray's own application.

arms      every server of the comparison, told the same in its own words
files     a comparison and what its servers read, written for `anynode bench compare`
table     what the rounds gave, as one table
"""
