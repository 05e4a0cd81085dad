"""The images and videos are valid, small, and each its own."""

import struct
import zlib

from tests.chaos.video.fake_api.media import (
    make_draft,
    make_image,
    make_video,
    sha256_hex,
)

PROMPT = "a fox in the snow"


def png_chunks(png: bytes) -> dict[bytes, bytes]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        (size,) = struct.unpack_from(">I", png, at)
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        (checksum,) = struct.unpack_from(">I", png, at + 8 + size)
        assert checksum == zlib.crc32(kind + content)
        chunks[kind] = content
        at += 12 + size
    return chunks


def mp4_boxes(content: bytes) -> dict[bytes, bytes]:
    boxes: dict[bytes, bytes] = {}
    at = 0
    while at < len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        assert 8 <= size <= len(content) - at
        boxes[kind] = content[at + 8 : at + size]
        at += size
    return boxes


def test_a_draft_is_smaller_than_its_image_and_each_its_own() -> None:
    image = make_image("r1", PROMPT)
    draft = make_draft(sha256_hex(image))
    width, height, *_ = struct.unpack(">IIBBBBB", png_chunks(draft)[b"IHDR"])
    assert (width, height) == (8, 8)
    assert len(draft) < len(image)
    assert draft != make_draft(sha256_hex(make_image("r2", PROMPT)))


def test_an_image_decodes_to_its_full_size() -> None:
    chunks = png_chunks(make_image("r1", PROMPT))
    assert list(chunks) == [b"IHDR", b"tEXt", b"IDAT", b"IEND"]
    width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    rows = zlib.decompress(chunks[b"IDAT"])
    assert (depth, colour) == (8, 2)
    assert len(rows) == height * (1 + width * 3)
    assert {rows[row * (1 + width * 3)] for row in range(height)} == {0}


def test_an_image_names_its_prompt_by_hash() -> None:
    label = png_chunks(make_image("r1", PROMPT))[b"tEXt"]
    assert label == b"prompt-sha256\0" + sha256_hex(PROMPT.encode()).encode()


def test_images_of_one_prompt_differ_by_request_and_are_reproducible() -> None:
    assert make_image("r1", PROMPT) != make_image("r2", PROMPT)
    assert make_image("r1", PROMPT) == make_image("r1", PROMPT)


def test_a_video_is_made_of_valid_boxes() -> None:
    boxes = mp4_boxes(make_video("op1", PROMPT))
    assert list(boxes) == [b"ftyp", b"free", b"mdat"]
    assert boxes[b"ftyp"].startswith(b"isom")


def test_a_video_carries_its_operation_and_prompt() -> None:
    data = mp4_boxes(make_video("op1", PROMPT))[b"mdat"]
    assert b"operation-id=op1\n" in data
    assert f"prompt-sha256={sha256_hex(PROMPT.encode())}\n".encode() in data


def test_videos_of_one_prompt_differ_by_operation_and_are_reproducible() -> None:
    assert make_video("op1", PROMPT) != make_video("op2", PROMPT)
    assert make_video("op1", PROMPT) == make_video("op1", PROMPT)
