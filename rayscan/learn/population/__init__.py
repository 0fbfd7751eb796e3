"""A population carried from the prior to where surrogates believe that points are valid."""
