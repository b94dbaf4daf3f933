"""What several tests build on: small fleets, projects, servers."""
