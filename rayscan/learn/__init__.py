"""Where to look next: NumPy, torch and vegas only. Knows neither Ray nor files; same seed and rows, same proposals."""
