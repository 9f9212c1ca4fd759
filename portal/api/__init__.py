"""The JSON API: an entry point to the same services as the pages, with its own sign-in, errors and schemas."""
