"""Cut a long text into pieces at paragraphs: what makes documents out of one big file."""

from collections.abc import Iterable, Iterator


def cut_text(text: str, size: int) -> Iterator[str]:
    """Yield pieces of at most `size` characters that together are `text`.

    A piece ends after an empty line where its second half holds one, else after a line end, else after a
    space, else wherever it is full.
    """
    start = 0
    while len(text) - start > size:
        end = start + size
        for mark in ("\n\n", "\n", " "):
            found = text.rfind(mark, start + size // 2, end)
            if found >= 0:
                end = found + len(mark)
                break
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


def cut_stream(blocks: Iterable[str], size: int) -> Iterator[str]:
    """Yield pieces as `cut_text` does, from a text that comes in blocks and is never held as a whole."""
    rest = ""
    for block in blocks:
        pieces = list(cut_text(rest + block, size))
        # The last piece may yet grow, so it waits for the next block.
        rest = pieces.pop() if pieces else ""
        yield from pieces
    if rest:
        yield rest
