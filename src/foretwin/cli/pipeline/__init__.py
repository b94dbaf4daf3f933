"""Commands of the pipeline: contracts, params.yaml, figures."""
