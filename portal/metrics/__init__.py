"""Metrics and detailed readiness on an internal port."""
