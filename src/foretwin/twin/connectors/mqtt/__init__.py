"""Sessions with a broker, and readings that come through one."""
