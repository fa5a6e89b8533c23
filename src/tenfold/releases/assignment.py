"""Which release answers a request: by its key where it has one, so that nobody goes to and fro, else at random.

For the fronts, which ask it of each request while a release is on its way: no NumPy, no state, a fifth of a microsecond.
"""

from __future__ import annotations

from zlib import crc32

SPAN = 2**32
_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio (Knuth, The Art of Computer Programming 3, 6.4)


def seed_of(release: str) -> int:
    """What makes the keys of one rollout fall otherwise than those of another: from the id of the new release."""
    return crc32(release.encode())


def threshold(share: float) -> int:
    """The places below which the new release answers, of ``SPAN``, for a ``share`` of one."""
    return round(share * SPAN)


def place(key: bytes, seed: int) -> int:
    """Where a key falls among ``SPAN`` places: evenly, and always the same.

    As the threshold grows, no key comes back: who was answered by the new release at 1 % is answered by it at 10 %. CRC-32
    alone is linear, so that all rollouts would part the keys alike; the square undoes that.
    """
    check = crc32(key, seed)
    return (check * check * _GOLDEN >> 16) & 0xFFFFFFFF


def takes_new(key: bytes, seed: int, below: int) -> bool:
    """Whether the new release answers a request with this key, for a ``threshold`` of places."""
    check = crc32(key, seed)  # as in place, without a call
    return (check * check * _GOLDEN >> 16) & 0xFFFFFFFF < below
