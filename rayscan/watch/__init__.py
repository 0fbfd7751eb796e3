"""Looking at a run while it goes on, or after: on a terminal, or as a page in a browser."""
