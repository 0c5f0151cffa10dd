"""`palmetto corpus`: a packed corpus to train on, from text or from tokens that others made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from palmetto.common.errors import PalmettoError
from palmetto.common.files import atomic_folder
from palmetto.common.progress import Terminal


@dataclass(frozen=True)
class Corpus:
    """Make a corpus: text to documents, tokenizer and packed records; or token shards to packed records.

    The folder is laid out as a study's: documents/ (of text), tokenizer/ and corpus/. It appears when all is done.
    """

    out: Path
    """The folder to make; it must not exist."""

    text: tuple[str, ...] = ()
    """Files or folders of text: plain UTF-8, JSON lines or Parquet."""

    tokens: tuple[str, ...] = ()
    """Instead of text: .npy or .bin files of token ids, or folders of them. They need --tokenizer."""

    tokenizer: Path | None = None
    """An existing tokenizer's folder, which is copied; without it one is trained on the training documents."""

    vocab_size: int | None = None
    """Tokens of a tokenizer that is trained; 4,096 unless given."""

    sequence_length: int | None = None
    """Tokens a model sees at once; 256 for text unless given. Flat token shards need it, rows say it themselves."""

    heldout_fraction: float = 0.05
    """Share kept out of training."""

    text_column: str = "text"
    """Field of a JSON line, or column of a Parquet file, that holds a document's text."""

    bin_dtype: Literal["auto", "uint16", "uint32"] = "auto"
    """Integers of .bin token files; auto is uint16 where the vocabulary fits."""

    seed: int = 0
    """Seed of the split, of the tokenizer's sample and of the order of documents."""

    def run(self, terminal: Terminal) -> None:
        """Make the folder.

        Raises:
            PalmettoError: text or tokens are missing, unreadable or too little; the tokenizer is missing; an option
                does not apply; the folder exists.
        """
        self._check()
        tokenizer = None
        if self.tokenizer is not None:
            from palmetto.tokenizer.tokenizer import Tokenizer

            # Told before hours of reading.
            tokenizer = Tokenizer.load(self.tokenizer)
        with atomic_folder(self.out) as folder:
            manifest = (
                self._from_tokens(folder, tokenizer, terminal)
                if self.tokens
                else self._from_text(folder, tokenizer, terminal)
            )
        print(
            f"{self.out}: {manifest['train_records']:,} records of {manifest['sequence_length']} tokens to train on "
            f"({manifest['train_documents']:,} documents, {manifest['bytes_per_token']:.2f} bytes a token), "
            f"{manifest['heldout_tokens']:,} tokens of {manifest['heldout_documents']:,} documents held out"
        )

    def _check(self) -> None:
        if bool(self.text) == bool(self.tokens):
            raise PalmettoError(
                "Give either --text (files or folders of text) or --tokens (shards of token ids)."
            )
        if self.tokens and self.tokenizer is None:
            raise PalmettoError(
                "--tokens needs --tokenizer: the folder of the tokenizer that the ids belong to."
            )
        if self.tokenizer is not None and self.vocab_size is not None:
            raise PalmettoError(
                "--vocab-size is for a tokenizer that is trained, and --tokenizer names one that exists; give one of "
                "the two."
            )
        if self.sequence_length is not None and self.sequence_length < 1:
            raise PalmettoError(f"--sequence-length is {self.sequence_length}; it must be at least 1.")

    def _from_text(self, folder: Path, tokenizer: Any, terminal: Terminal) -> dict[str, Any]:
        from palmetto.corpus.config import CorpusConfig
        from palmetto.corpus.documents import read_documents
        from palmetto.corpus.pack import pack_corpus
        from palmetto.corpus.prepare import prepare_documents
        from palmetto.tokenizer.config import TokenizerConfig
        from palmetto.tokenizer.places import copy_tokenizer
        from palmetto.tokenizer.tokenizer import Tokenizer
        from palmetto.tokenizer.train import train_tokenizer

        config = CorpusConfig(
            text=tuple(str(Path(path).resolve()) for path in self.text),
            text_column=self.text_column,
            heldout_fraction=self.heldout_fraction,
            seed=self.seed,
        )
        wanted = TokenizerConfig(seed=self.seed)
        if self.vocab_size is not None:
            wanted = TokenizerConfig(vocab_size=self.vocab_size, seed=self.seed)
        documents = _inside(folder, "documents")
        prepare_documents(config, documents, terminal)
        if self.tokenizer is None:
            texts = (document.text for document in read_documents(documents / "train.jsonl.gz"))
            place = _inside(folder, "tokenizer")
            train_tokenizer(texts, wanted, place, terminal)
            tokenizer = Tokenizer.load(place)
        else:
            copy_tokenizer(self.tokenizer, _inside(folder, "tokenizer"))
        length = self.sequence_length or 256
        return pack_corpus(documents, tokenizer, length, _inside(folder, "corpus"), terminal, seed=self.seed)

    def _from_tokens(self, folder: Path, tokenizer: Any, terminal: Terminal) -> dict[str, Any]:
        from palmetto.corpus.tokens import TokensConfig, import_tokens
        from palmetto.tokenizer.places import copy_tokenizer

        config = TokensConfig(
            shards=tuple(str(Path(path).resolve()) for path in self.tokens),
            sequence_length=self.sequence_length,
            bin_dtype=self.bin_dtype,
            heldout_fraction=self.heldout_fraction,
            seed=self.seed,
        )
        assert self.tokenizer is not None  # `_check` has seen to it
        copy_tokenizer(self.tokenizer, _inside(folder, "tokenizer"))
        return import_tokens(config, tokenizer, _inside(folder, "corpus"), terminal)


def _inside(folder: Path, name: str) -> Path:
    place = folder / name
    place.mkdir()
    return place
