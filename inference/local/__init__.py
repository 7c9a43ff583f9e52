"""A private Ray with Serve on this machine, for as long as one command runs.

preflight    what would fail later is said now, in one sentence
config       the Serve config of one model folder, or of a file, made fit for this machine
environment  the variables that keep this Ray apart from every other
haproxy      the launcher that keeps HAProxy's own pages on the loopback interface
driver       the child process that runs Ray
supervisor   the parent that starts it, listens to it, and leaves nothing behind
processes    process trees, as /proc shows them
ports        ports nobody uses
"""
