"""What may be asked for and collected: hashes of their algorithm's length, each once.

The SAM says the same; here it costs nothing, and nothing is reserved for what cannot be signed.
"""

import base64
from collections.abc import Sequence
from typing import Final

from backend.algorithms import DIGEST_BYTES, HashAlgorithm
from backend.errors import RequestRefused
from backend.protocol.ask import HashName
from backend.protocol.encoding import unb64u_together

MOST_HASHES: Final = 10_000
LONGEST_HASH: Final = 100
"""Characters: 64 bytes in base64 have 88."""


def read_hash(unverified: object) -> bytes:
    """Read a hash as :func:`read_octets` does.

    Raises:
        ValueError: it is none.
    """
    return read_octets(unverified, longest=LONGEST_HASH)


def read_octets(unverified: object, *, longest: int) -> bytes:
    """Read base64 in either alphabet, padded or not; what counts is the bytes.

    Raises:
        ValueError: it is none, or longer.
    """
    if not isinstance(unverified, str) or len(unverified) > longest:
        raise ValueError("no base64 of this length")
    text = unverified.replace("-", "+").replace("_", "/")
    padding = "" if "=" in text else "=" * (-len(text) % 4)
    return base64.b64decode(text + padding, validate=True)


def read_hashes(unverified: Sequence[object]) -> tuple[bytes, ...]:
    """Read each as :func:`read_hash` does; many in one form in one go.

    Raises:
        ValueError: one of them is none.
    """
    texts = [each for each in unverified if isinstance(each, str)]
    together = _read_together(texts) if len(texts) == len(unverified) else None
    return tuple([read_hash(each) for each in unverified] if together is None else together)


def _read_together(unverified: Sequence[str]) -> list[bytes] | None:
    """Read what has one length, and all the padding that belongs to it, or none of it."""
    bare = [each.rstrip("=") for each in unverified]
    lengths = {(len(whole), len(part)) for whole, part in zip(unverified, bare, strict=True)}
    if len(lengths) != 1:
        return None
    ((whole, part),) = lengths
    if whole > LONGEST_HASH or whole not in {part, part + -part % 4}:
        return None
    url = "\n".join(bare).replace("+", "-").replace("/", "_")
    return unb64u_together(url.split("\n"))


def check_hashes(unverified_hashes: Sequence[bytes], hash_alg: HashName) -> None:
    """Check that these are hashes of that algorithm, and that none stands twice.

    Raises:
        RequestRefused: they are not.
    """
    if not 1 <= len(unverified_hashes) <= MOST_HASHES:
        raise RequestRefused(f"1 to {MOST_HASHES} hashes")
    length = DIGEST_BYTES[HashAlgorithm(hash_alg)]
    if any(len(unverified) != length for unverified in unverified_hashes):
        raise RequestRefused(f"a {hash_alg} hash has {length} bytes")
    if len(set(unverified_hashes)) != len(unverified_hashes):
        raise RequestRefused("a hash stands twice")
