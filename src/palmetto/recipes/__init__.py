"""Recipes: Python functions that return frozen dataclasses, for models, training and whole studies.

To change something no command line offers, copy a recipe into a file of your own and edit it
(`palmetto study my_study.py:study`). Only `study` and the command line call this room.
"""
