"""Commands of a model: scoring, serving, promotion, lineage, keys."""
