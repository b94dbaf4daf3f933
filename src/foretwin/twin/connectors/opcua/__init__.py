"""OPC UA: tags of a server, live and from its history; the only importer of asyncua, which is an optional extra."""
