"""Commands of the pipeline: run, bridge, worker, edge, broker, watch."""
