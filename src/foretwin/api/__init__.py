"""Functions of the Python API that combine several packages; `import foretwin` offers them."""
