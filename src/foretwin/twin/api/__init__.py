"""HTTP interface of the living twin: readings in, twins, scores and cases out, as JSON, on this machine alone."""
