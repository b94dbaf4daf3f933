"""The no-op handler for `bentoml serve`, which wants the service by name."""

from bench_peers.noop import mounted

service = mounted()
