"""Door 2, JSON: the same verbs as the pages, with its own sign-in, errors and shapes."""
