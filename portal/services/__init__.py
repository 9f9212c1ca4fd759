"""Verbs: one public function is one thing that happens. Only these commit."""
