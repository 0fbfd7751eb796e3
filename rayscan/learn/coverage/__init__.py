"""The default method: learn the observables, fill the whole valid region evenly, and measure what was missed."""
