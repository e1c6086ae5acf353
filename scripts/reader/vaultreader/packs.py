"""Groups, packs, the frame under the write key, segments and snapshots [V-5], [V-7], [V-8]."""

import re
from dataclasses import dataclass

import zstandard

from . import limits
from .crypto import CHUNK_KINDS, open_sealed
from .damage import Damage
from .wire import U32, U64, Cursor, document, head, number, only_fields, text, texts, unhex


@dataclass(frozen=True)
class KeyRecord:
    """[V-5.3]; epoch and sealed are None in records of the write key."""

    salt: bytes
    epoch: int | None
    sealed: bytes | None


@dataclass
class Group:
    """[V-5.6]"""

    key: int
    number: int
    offset: int
    stored_len: int
    encoding: int
    chunks: list

    @property
    def raw_len(self):
        return sum(length for _, length in self.chunks)


@dataclass
class Directory:
    kind: int
    keys: list
    groups: list

    def end(self):
        return self.groups[-1].offset + self.groups[-1].stored_len if self.groups else 40


def key_record(cursor):
    form = cursor.u8()
    if form == 1:
        return KeyRecord(cursor.take(32), cursor.u32(), cursor.take(1168))
    if form == 2:
        return KeyRecord(cursor.take(32), None, None)
    raise Damage("field", "key record")


def directory(data):
    cursor = Cursor(data)
    kind = cursor.u8()
    if kind not in CHUNK_KINDS:
        raise Damage("field", "kind of chunks")
    keys = []
    for _ in range(cursor.upto(limits.PACK_KEYS, "key records")):
        record = key_record(cursor)
        if (record.epoch is None) != (CHUNK_KINDS[kind] == "refs"):
            raise Damage("field", "key record of another form")
        keys.append(record)
    groups, end = [], 40
    for _ in range(cursor.upto(limits.PACK_GROUPS, "groups")):
        group = one_group(cursor)
        if group.key >= len(keys) or group.offset < end:
            raise Damage("field", "group")
        end = group.offset + group.stored_len
        if end > U32:
            raise Damage("field", "group")
        groups.append(group)
    cursor.end()
    return Directory(kind, keys, groups)


def one_group(cursor):
    key, sequence, offset, stored_len = cursor.u16(), cursor.u32(), cursor.u32(), cursor.u32()
    if not 16 <= stored_len <= limits.GROUP_STORED:
        raise Damage("limit", "stored length of a group")
    encoding = cursor.u8()
    if encoding > 1:
        raise Damage("field", "encoding")
    chunks, total = [], 0
    for _ in range(cursor.upto(limits.GROUP_CHUNKS, "chunks of a group")):
        chunk = cursor.take(32), cursor.upto(limits.CHUNK, "length of a chunk")
        total += chunk[1]
        if total > limits.GROUP_RAW:
            raise Damage("limit", "length of a group")
        chunks.append(chunk)
    return Group(key, sequence, offset, stored_len, encoding, chunks)


def open_group(key, vault, dataset, kind, encoding, sequence, raw_len, stored):
    """The raw bytes of a group [V-5.4], [V-5.5]."""
    if raw_len > limits.GROUP_RAW or len(stored) > limits.GROUP_STORED:
        raise Damage("limit", "length of a group")
    associated = vault + dataset + bytes([kind, encoding])
    for value in [sequence, len(stored), raw_len]:
        associated += value.to_bytes(4, "little")
    encoded = open_sealed(key, sequence, associated, stored)
    raw = decompress(encoded, raw_len) if encoding == 1 else encoded
    if len(raw) != raw_len:
        raise Damage("compression", "length")
    return raw


def decompress(frame, raw_len):
    try:
        with zstandard.ZstdDecompressor().stream_reader(frame) as reader:
            # One byte more would show a frame that is too long; never is more taken than that.
            raw = reader.read(raw_len + 1)
            complete = len(raw) <= raw_len and reader.read(1) == b""
    except zstandard.ZstdError as error:
        raise Damage("compression", str(error)) from error
    if not complete:
        raise Damage("compression", "too long")
    return raw


def pack_header(header):
    cursor = Cursor(header)
    if cursor.take(4) != b"SRPK":
        raise Damage("magic")
    version = cursor.u8()
    if version != 1:
        raise Damage("version", str(version))
    kind = cursor.u8()
    if kind not in CHUNK_KINDS:
        raise Damage("field", "kind of chunks")
    if cursor.u16() != 0:
        raise Damage("field", "reserved")
    return kind, cursor.take(16), cursor.take(16)


def pack_directory(pack, write_keys, vault, dataset):
    """The directory of a whole pack [V-5.1], [V-5.6]."""
    if len(pack) < 8:
        raise Damage("truncated")
    if pack[-4:] != b"KPRS":
        raise Damage("magic", "end")
    length = int.from_bytes(pack[-8:-4], "little")
    if length > limits.DIRECTORY or len(pack) > limits.PACK:
        raise Damage("limit", "directory")
    if length < 48 or 40 + length + 8 > len(pack):
        raise Damage("field", "length of the directory")
    kind, found_vault, found_dataset = pack_header(pack[:40])
    if (found_vault, found_dataset) != (vault, dataset):
        raise Damage("foreign")
    start = len(pack) - 8 - length
    salt, sealed = pack[start : start + 32], pack[start + 32 : -8]
    key = write_keys.document_key(salt, "strongroom v1 pack directory")
    found = directory(open_sealed(key, 0, pack[:40], sealed))
    if found.kind != kind or found.end() > start:
        raise Damage("field", "directory")
    return found


def open_frame(data, magic, info, most, write_keys, vault, dataset):
    """Epoch and content of a framed object [V-7.2]."""
    if len(data) > most:
        raise Damage("limit", "object")
    cursor = Cursor(data)
    head(cursor, magic)
    if (cursor.take(16), cursor.take(16)) != (vault, dataset):
        raise Damage("foreign")
    epoch, salt = cursor.u32(), cursor.take(32)
    body = Cursor(open_sealed(write_keys.document_key(salt, info), 0, data[:44], data[76:]))
    content = body.take(body.u32())
    if any(body.take(body.left())):
        raise Damage("trailing", "padding")
    return epoch, content


def segment(data, write_keys, vault, dataset):
    """[V-7.1]: hash, length and directory of each pack."""
    _, content = open_frame(
        data, b"SRIX", "strongroom v1 index segment", limits.SEGMENT, write_keys, vault, dataset
    )
    cursor, packs = Cursor(content), []
    while cursor.left():
        name, length = cursor.take(32), cursor.u64()
        if length > limits.PACK:
            raise Damage("limit", "pack")
        found = directory(cursor.blob(limits.DIRECTORY, "directory"))
        if found.end() > length:
            raise Damage("field", "a group behind the end of its pack")
        packs.append((name, length, found))
    return packs


def framed_document(data, magic, info, write_keys, vault, dataset):
    epoch, content = open_frame(data, magic, info, limits.DOCUMENT, write_keys, vault, dataset)
    return epoch, document(content)


SNAPSHOT_FIELDS = ["time", "host", "user", "paths", "tags", "root", "program", "summary"]
SUMMARY_FIELDS = [
    "files", "directories", "others", "bytes", "files_new", "files_changed", "files_unchanged", "chunks_added",
    "bytes_added", "bytes_stored", "problems", "milliseconds",
]  # fmt: skip


def snapshot(data, write_keys, vault, dataset):
    """Epoch and document [V-7.3]."""
    epoch, found = framed_document(data, b"SRSN", "strongroom v1 snapshot", write_keys, vault, dataset)
    only_fields(found, SNAPSHOT_FIELDS, ["parent", "original"])
    for name in ["time", "host", "user", "program"]:
        text(found[name])
    texts(found["paths"])
    texts(found["tags"])
    unhex(found["root"], 32)
    for name in ["parent", "original"]:
        if found.get(name) is not None:
            unhex(found[name], 32)
    for value in only_fields(found["summary"], SUMMARY_FIELDS).values():
        number(value, U64)
    return epoch, found


def condemnation(data, write_keys, vault, dataset):
    """[V-8.3]"""
    _, found = framed_document(data, b"SRCD", "strongroom v1 condemnation", write_keys, vault, dataset)
    only_fields(found, ["time", "packs"])
    text(found["time"])
    for name in texts(found["packs"]):
        unhex(name, 32)
    return found


def session_marker(data, write_keys, vault, dataset):
    """[V-8.1]"""
    _, found = framed_document(data, b"SRSE", "strongroom v1 session marker", write_keys, vault, dataset)
    only_fields(found, ["started", "host", "pid"])
    text(found["started"])
    text(found["host"])
    number(found["pid"], U32)
    return found


def unescape(path):
    """The bytes of a path of a snapshot [V-7.3]."""
    if not re.fullmatch(r"(?:[^%]|%[0-9A-F]{2})*", path, re.DOTALL):
        raise Damage("field", "escape")
    parts = re.split(r"%([0-9A-F]{2})", path)
    return b"".join(bytes.fromhex(part) if at % 2 else part.encode() for at, part in enumerate(parts))
