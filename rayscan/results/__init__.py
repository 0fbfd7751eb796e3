"""What finished tables say: figures, reports, volume, coverage, profile likelihoods."""
