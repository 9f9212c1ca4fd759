"""Benchmarks. Compare figures of one run only. Benchmarks are not tests."""
