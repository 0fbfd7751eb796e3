"""The method of the papers: draw many candidates from a map and the prior, score them with one network, choose K."""
