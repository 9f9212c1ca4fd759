"""The generator of the clients: one small file for each language, and nothing but the standard library."""
