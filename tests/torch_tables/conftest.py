"""The tables hold no tests of their own, and without torch they cannot be imported."""

collect_ignore_glob = ["*.py"]
