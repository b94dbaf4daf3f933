"""Benchmark of one twin by the protocol of docs/benchmarks.md."""
