"""The outside. Plain data in, plain data out; no row ever enters here."""
