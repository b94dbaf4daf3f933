"""Values that come singly: kept per asset until the reading of their step is complete, or has waited long enough."""
