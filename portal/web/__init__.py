"""Entry point 1, pages: a view looks up rows, calls one service function and renders the result."""
