"""Service functions: each public one makes one change, in one transaction. Only services commit."""
