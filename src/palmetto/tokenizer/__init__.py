"""The tokenizer of section 2 of the PaLM paper: training it on documents and using it.

SentencePiece does the work; this room pins the options that make it lossless. The corpus, evaluation and
analysis rooms call `Tokenizer`, the study calls `train_tokenizer`. It knows documents only as strings.
"""
