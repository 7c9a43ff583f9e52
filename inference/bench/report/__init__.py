"""What a benchmark found, as data (`model`), and that data as Markdown, CSV, JSON and a page."""
