"""Trained models as files that other programs load: Hugging Face's `CohereForCausalLM` with its tokenizer.

`export_model` takes a model folder to a new folder; it needs neither torch nor transformers, and holds one layer of
one weight at a time. Evaluation, the study and the command line may call it; it calls inference and all above.
"""
