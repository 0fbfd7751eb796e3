"""For users testing their own tools and scans: programs that misbehave, and more."""
