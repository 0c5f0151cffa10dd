"""The corpus: finding and reading text, cleaning and splitting it into documents, packing it into token
records.

`prepare.py` makes the `documents/` folder, `pack.py` the `corpus/` folder, `records.py` reads the latter;
questions about the corpus stream over both. Training, evaluation and analysis call this room. It knows
nothing of models.
"""
