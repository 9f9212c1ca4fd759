"""Requests as programs write them."""
