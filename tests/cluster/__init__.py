"""Scripts that try a whole cluster on one machine; never part of the test suite. CONTRIBUTING says what each prints."""
