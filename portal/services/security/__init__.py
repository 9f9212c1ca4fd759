"""Second factors and sign-ins in two steps."""
