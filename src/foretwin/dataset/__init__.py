"""The canonical table, its splits and its windows."""
