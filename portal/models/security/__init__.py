"""What an account proves besides its password: authenticator apps and recovery codes."""
