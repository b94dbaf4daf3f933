"""The pages, each made of calls of the API with the key of whoever looks."""
