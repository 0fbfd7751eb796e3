"""Where points might go: the default method's side of going there."""
