"""Sample calls of the public functions whose docstring has no example that can be traced.

Each is the source of one call, in which `np` and the function itself are known.
"""

CALLS: dict[str, str] = {}
