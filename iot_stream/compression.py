"""Decompress and split any stream of bytes in bounded memory. Pure."""

import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

__all__ = ["LONGEST_LINE", "DamagedError", "decompressed", "lines"]

# A record of Kinesis is at most 10 MiB; base64 and the fields around it make it longer by half.
LONGEST_LINE: Final = 16 * 1024 * 1024
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_PIECE: Final = 64 * 1024
_GZIP_WINDOW: Final = zlib.MAX_WBITS | 16  # zlib's own spelling of "with a gzip header"


class DamagedError(Exception):
    """Compressed bytes that end too early or are not valid; says which."""


def decompressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of plain, gzip or zip bytes, in pieces of 64 KB at most where it is compressed.

    The format is detected from the first bytes (`CompressionFormat` UNCOMPRESSED, GZIP or ZIP of a delivery stream).

    Raises:
        DamagedError: after everything that could be read was given.
    """
    source = iter(pieces)
    head = b""
    for piece in source:
        head += piece
        if len(head) >= len(_ZIP):
            break
    if head.startswith(_GZIP):
        yield from _gunzipped(head, source)
    elif head.startswith(_ZIP):
        yield from _unzipped(b"".join([head, *source]))
    else:
        yield head
        yield from source


def lines(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes | None]]:
    r"""Yield the number, from 0, and the bytes of each line; None for one longer than `LONGEST_LINE`.

    Lines end in `\n`. When `pieces` raises, the lines that were complete have been given.
    """
    number = 0
    rest = bytearray()
    too_long = False
    for piece in pieces:
        *ended, last = piece.split(b"\n")
        for part in ended:
            rest += part
            yield number, None if too_long or len(rest) > LONGEST_LINE else bytes(rest)
            number += 1
            rest.clear()
            too_long = False
        rest += last
        if len(rest) > LONGEST_LINE:
            rest.clear()
            too_long = True
    if rest or too_long:
        yield number, None if too_long else bytes(rest)


def _gunzipped(head: bytes, source: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress a gzip file: one or more members, one after the other (RFC 1952)."""
    member, begun = zlib.decompressobj(_GZIP_WINDOW), False
    try:
        for piece in chain((head,), source):
            data = piece
            while data:
                begun = True
                yield member.decompress(data, _PIECE)
                data = member.unconsumed_tail
                if member.eof:
                    data = member.unused_data
                    member, begun = zlib.decompressobj(_GZIP_WINDOW), False
        if begun:
            yield member.flush()
    except zlib.error as error:
        raise DamagedError(f"the gzip data is damaged ({error})") from error
    if begun:
        raise DamagedError("the gzip data ends too early")


def _unzipped(content: bytes) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                with archive.open(entry) as file:
                    while piece := file.read(_PIECE):
                        yield piece
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise DamagedError(f"the zip archive is damaged ({error})") from error
