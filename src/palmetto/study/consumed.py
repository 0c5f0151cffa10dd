"""The text that training consumed, back from its records: what contamination is tested against."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from palmetto.corpus.records import PackedRecords
from palmetto.tokenizer.tokenizer import Tokenizer


def consumed_texts(records: PackedRecords, ids: Int[np.ndarray, " N"], tokenizer: Tokenizer) -> Iterator[str]:
    """Yield the documents, or the parts of documents, that lie in the records of `ids`.

    Records that are neighbours in the corpus are joined first, so a document read whole comes out whole.
    """
    tail: list[int] = []
    previous = -2
    for number in np.unique(ids):
        if number != previous + 1 and tail:
            yield tokenizer.decode(tail)
            tail = []
        previous = int(number)
        tokens = records[previous]
        ends = np.flatnonzero(tokens == tokenizer.eod_id)
        start = 0
        for end in ends:
            tail += tokens[start:end].tolist()
            yield tokenizer.decode(tail)
            tail, start = [], int(end) + 1
        tail += tokens[start:].tolist()
    if tail:
        yield tokenizer.decode(tail)
