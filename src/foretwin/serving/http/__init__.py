"""HTTP parts that both services share: bounded bodies, problems, media types, loopback check, logs, traces."""
