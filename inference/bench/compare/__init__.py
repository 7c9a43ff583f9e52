"""Several arms under the same load, round by round, and a verdict."""
