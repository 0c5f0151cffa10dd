"""What the paper asks of a trained family: scaling and discontinuity, memorisation, contamination, samples.

`study` and the command line call it; `report` reads the files it writes. It calls `inference` through its
token interface, `corpus` for its streaming questions, and `evaluation` for statistics and words.
"""
