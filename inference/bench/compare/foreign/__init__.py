"""Results of other tools as runs of ours: one file for each tool."""
