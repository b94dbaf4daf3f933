"""Networks and their training: the only importer of torch, Lightning and Optuna apart from the baselines."""
