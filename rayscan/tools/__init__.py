"""One point through the user's programs: tools, sandboxes, SLHA. Knows nothing of learning and nothing of Ray."""
