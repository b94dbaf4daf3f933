"""The living twin: readings in, scores and cases out.

What arrives is checked against the contract and stored (`ingest`), scored as it changes (`watch`), turned into cases
(`cases`) and told to those who act on it (`delivery`). `store` is the only place with SQL.
"""
