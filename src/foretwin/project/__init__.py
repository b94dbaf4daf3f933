"""The project on disk: parameters, paths, atomic writes, entry points."""
