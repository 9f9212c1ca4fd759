"""Imports of plans and customers from a spreadsheet's file: read, match, check, carry out, send."""
