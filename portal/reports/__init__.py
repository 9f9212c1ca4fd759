"""Reads across tables: lists, dashboard, ageing, statements, exports. Reports never write."""
