"""Door 2, JSON: the same verbs, its own authentication, errors and shapes."""
