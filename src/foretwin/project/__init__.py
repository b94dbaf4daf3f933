"""Project folder: parameters, paths, atomic writes, entry points."""
