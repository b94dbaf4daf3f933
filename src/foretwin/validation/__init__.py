"""A contract's rules as data, and Great Expectations, which checks them."""
