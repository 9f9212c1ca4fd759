"""Door 1, pages: find, tell one verb, render."""
