"""The one decoding and scoring engine: multi-query cache, shared prefixes, seeded sampling, a token interface.

`evaluation`, `analysis`, `serving` and the command line call it. It calls `model` and reads what `training`
wrote; it knows tokens, never strings.
"""
