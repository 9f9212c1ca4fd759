"""Valkey: connections, the circuit breaker, and the storage of rate limits."""
