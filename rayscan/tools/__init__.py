"""One point through the user's programs. Knows nothing of learning and nothing of Ray."""
