"""Valkey: connections, the circuit breaker, and storage of rate limits."""
