"""Clients of the JSON API, made from the OpenAPI document: `python -m clients` writes them again."""
