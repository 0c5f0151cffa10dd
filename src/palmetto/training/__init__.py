"""Training: batches, loss, optimizer, schedules, the step, the loop, checkpoints, throughput, trackers.

Takes a config and packed shards, gives checkpoints and metrics. In-loop evaluations come in as a callable, so
this room knows nothing of evaluation. `inference` reads its checkpoints; `study` and the command line drive it.
"""
