"""Where prompts come from: made up, from a dataset, or with the lengths of a trace."""
