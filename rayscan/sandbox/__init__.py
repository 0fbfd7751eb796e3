"""A directory of its own for every point, and no process that outlives its evaluator."""
