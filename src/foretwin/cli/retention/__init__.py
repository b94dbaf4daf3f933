"""What is kept and what ages: `foretwin retain`, `foretwin hold`."""
