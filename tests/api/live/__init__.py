"""Tests of endpoints on the running system."""
