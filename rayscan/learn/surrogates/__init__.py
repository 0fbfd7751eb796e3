"""What is learned of a target, and what places are worth by it: the default method's side of knowing."""
