"""Small but valid images and videos, each its own, and the same again after a restart."""

import hashlib
import struct
import zlib

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_SIDE_PIXELS = 16
_MP4_NOISE_BYTES = 4096


def sha256_hex(content: bytes) -> str:
    """The hash by which contents are compared everywhere."""
    return hashlib.sha256(content).hexdigest()


def make_image(request_id: str, prompt: str) -> bytes:
    """The PNG for one image request: its pixels come from the request, not only the prompt."""
    return _png(request_id, prompt, _PNG_SIDE_PIXELS)


def make_draft(image_sha256: str) -> bytes:
    """A smaller PNG that precedes the image of that hash, and shows something else."""
    return _png(image_sha256, "a draft", _PNG_SIDE_PIXELS // 2)


def _png(request_id: str, prompt: str, side: int) -> bytes:
    row_bytes = side * 3
    pixels = _noise(f"{request_id}\n{prompt}", side * row_bytes)
    rows = (pixels[start : start + row_bytes] for start in range(0, len(pixels), row_bytes))
    unfiltered = b"".join(b"\0" + row for row in rows)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    label = b"prompt-sha256\0" + sha256_hex(prompt.encode()).encode()
    return (
        _PNG_SIGNATURE
        + _png_chunk(b"IHDR", header)
        + _png_chunk(b"tEXt", label)
        + _png_chunk(b"IDAT", zlib.compress(unfiltered))
        + _png_chunk(b"IEND", b"")
    )


def make_video(operation_id: str, prompt: str) -> bytes:
    """The MP4 of one operation: valid boxes, and no pictures."""
    label = (f"operation-id={operation_id}\nprompt-sha256={sha256_hex(prompt.encode())}\n").encode()
    return (
        _mp4_box(b"ftyp", b"isom" + struct.pack(">I", 0x200) + b"isomiso2mp41")
        + _mp4_box(b"free", label)
        + _mp4_box(b"mdat", label + _noise(operation_id, _MP4_NOISE_BYTES))
    )


def padded_video(mp4: bytes, size_bytes: int) -> bytes:
    """The same video with so many bytes behind it that no player looks at."""
    return mp4 + _mp4_box(b"free", bytes(size_bytes))


def _noise(seed: str, size_bytes: int) -> bytes:
    return hashlib.shake_256(seed.encode()).digest(size_bytes)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _mp4_box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content
