"""Reads across tables: dashboard, ageing, statements, exports. Never write."""
