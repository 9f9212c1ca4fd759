"""The simulated gateway: test cards decide the outcome, and no money moves. It has tables of its own."""
