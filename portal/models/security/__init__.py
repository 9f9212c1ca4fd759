"""Second factors of accounts: authenticator apps, passkeys and recovery codes."""
