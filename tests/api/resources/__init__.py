"""Tests of endpoints, area by area."""
