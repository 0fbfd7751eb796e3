"""What is asked: parameters and their priors, and the target that observables have to hit."""
