"""Browser tests of signing in."""
