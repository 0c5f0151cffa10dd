"""What may be chosen about the corpus: where the text comes from and how it is split."""

from dataclasses import dataclass

from palmetto.common.errors import PalmettoError


@dataclass(frozen=True)
class CorpusConfig:
    """Choices of corpus preparation."""

    text: tuple[str, ...] = ()
    """Files and folders to read. Empty means the running interpreter's own standard library."""

    text_column: str = "text"
    """Field of a JSON line, or column of a Parquet file, that holds a document's text."""

    heldout_fraction: float = 0.05
    """Share of the documents kept out of training. A document's side depends on its text and the seed
    alone."""

    min_heldout_documents: int = 2
    """Fewest documents on either side of the split; where the share gives fewer, the next in the seeded order
    are taken. A corpus with fewer than twice this many documents is an error."""

    max_unreadable_share: float = 0.1
    """Share of the files found in folders that may be unreadable, binary or not UTF-8 before it is an
    error."""

    cut_below_documents: int = 20
    """With fewer documents than this, long ones are cut at paragraphs into pieces that count as documents, so
    that one big file can be split into training and held-out text. 0 never cuts."""

    piece_characters: int = 16_384
    """Longest piece when documents are cut (see `cut_below_documents`), and of text files above
    `large_file_bytes`."""

    large_file_bytes: int = 33_554_432
    """A plain text file above this size is read in pieces, so that memory stays bounded."""

    seed: int = 0
    """Seed of the split."""

    def __post_init__(self) -> None:
        given: object = self.text
        if isinstance(given, str):
            raise PalmettoError(
                f"corpus.text is the string {self.text!r}; give a tuple of paths, as in ({self.text!r},)."
            )
        for name, share in (
            ("heldout_fraction", self.heldout_fraction),
            ("max_unreadable_share", self.max_unreadable_share),
        ):
            if not 0.0 <= share < 1.0:
                raise PalmettoError(f"corpus.{name} is {share}; it must be at least 0 and below 1.")
        for name, least, value in (
            ("min_heldout_documents", 1, self.min_heldout_documents),
            ("cut_below_documents", 0, self.cut_below_documents),
            ("piece_characters", 256, self.piece_characters),
            ("large_file_bytes", 1, self.large_file_bytes),
        ):
            if value < least:
                raise PalmettoError(f"corpus.{name} is {value}; it must be at least {least}.")
