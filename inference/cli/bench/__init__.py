"""`anynode bench`: one file for each of its commands; `app` puts them together."""
