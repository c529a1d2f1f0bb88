"""A household, a porch and people who do not exist: what `limen demo` shows."""
