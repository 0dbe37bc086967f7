"""The tables of `test_against_torch`."""
