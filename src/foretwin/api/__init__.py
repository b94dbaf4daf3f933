"""The functions of the Python API that are made of several parts of the library; `import foretwin` offers them."""
