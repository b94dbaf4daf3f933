"""Pages of `foretwin live` for people: each is made from calls of the API, with the rights of whoever looks at it."""
