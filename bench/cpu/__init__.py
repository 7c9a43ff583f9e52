"""`make bench-cpu`: every engine of ours over HTTP, and its peers as their users run them.

arms        who takes part, as data
commands    what starts an arm
weights     what arms load, made on the spot
loads       what everybody is asked
asking      starting an arm, and asking it
peers/      one file for each library without a server, each run in an environment of its own
roofline    what the machine's memory and its products of int8 allow, measured and as arithmetic
results     what was measured: the one file that tables are made from
figures     tokens/s of prefill and decode, TTFT, shares of the roofline
goals       what is to be reached, and whether it was
table       all of it as Markdown
rounds      the arms in turns
"""
