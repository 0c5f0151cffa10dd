"""What every room needs and none owns: the error type, atomic files and hashes, the progress display.

Any room may call it; it imports no room. Nothing here knows what a model is.
"""
