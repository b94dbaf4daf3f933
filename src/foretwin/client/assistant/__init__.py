"""`foretwin mcp`: a server of the Model Context Protocol that is a client of `foretwin live`."""
