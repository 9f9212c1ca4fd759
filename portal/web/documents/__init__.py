"""Receipts and statements as PDF files."""
