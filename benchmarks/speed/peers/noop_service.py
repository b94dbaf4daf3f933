"""The no-op handler for `bentoml serve`, which wants the service by name."""

from benchmarks.speed.peers.noop import mounted

service = mounted()
