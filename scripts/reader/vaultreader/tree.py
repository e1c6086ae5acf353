"""Refs nodes and meta pages [V-6]."""

from dataclasses import dataclass, field

from . import limits
from .damage import Damage
from .wire import U32, Cursor


def ids(cursor):
    count = cursor.upto(limits.IDS, "ids")
    if cursor.left() < 32 * count:
        raise Damage("truncated")
    return [cursor.take(32) for _ in range(count)]


def version_1(cursor):
    version = cursor.u8()
    if version != 1:
        raise Damage("version", str(version))


def refs_node(data):
    """[V-6.2]: a dictionary; `node` is page, list or fan."""
    cursor = Cursor(data)
    version_1(cursor)
    form = cursor.u8()
    if form == 1:
        node = {"node": "page", "meta": cursor.take(32)}
        for name in ["directories", "lists", "chunks"]:
            node[name] = ids(cursor)
    elif form == 2:
        node = {"node": "list", "chunks": ids(cursor)}
    elif form == 3:
        node = {"node": "fan", "pages": ids(cursor)}
    else:
        raise Damage("field", "form of a refs node")
    cursor.end()
    return node


KINDS = {
    1: "file",
    2: "directory",
    3: "symbolic link",
    4: "named pipe",
    5: "socket",
    6: "character device",
    7: "block device",
}


@dataclass
class Entry:
    """[V-6.4]"""

    name: bytes
    kind: str
    mode: int
    owner: int
    group: int
    seconds: int
    nanoseconds: int
    size: int = 0
    lists: bool = False
    count: int = 0
    data_ranges: list | None = None
    target: bytes = b""
    major: int = 0
    minor: int = 0
    hard_link: tuple | None = None
    attributes: list = field(default_factory=list)


def meta_page(data):
    """[V-6.3]: the entries."""
    cursor, entries = Cursor(data), []
    version_1(cursor)
    while cursor.left():
        found = entry(cursor)
        if entries and entries[-1].name >= found.name:
            raise Damage("field", "order of names")
        entries.append(found)
    return entries


def entry(cursor):
    kind, flags = cursor.u8(), cursor.u8()
    if kind not in KINDS:
        raise Damage("field", "kind of an entry")
    kind = KINDS[kind]
    if flags & ~(0x0F if kind == "file" else 0x03):
        raise Damage("field", "flags")
    name = cursor.blob(limits.NAME, "name")
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
        raise Damage("field", "name")
    found = Entry(
        name,
        kind,
        cursor.upto(0o7777, "mode"),
        cursor.upto(U32, "owner"),
        cursor.upto(U32, "group"),
        cursor.zigzag(),
        cursor.upto(999_999_999, "nanoseconds"),
    )
    if kind == "file":
        found.size, found.count, found.lists = cursor.varint(), cursor.upto(U32, "count"), bool(flags & 8)
        if flags & 4:
            found.data_ranges = data_ranges(cursor, found.size)
    elif kind == "symbolic link":
        found.target = cursor.blob(limits.LINK_TARGET, "target")
    elif kind.endswith("device"):
        found.major, found.minor = cursor.upto(U32, "major"), cursor.upto(U32, "minor")
    if flags & 2:
        found.hard_link = cursor.varint(), cursor.varint()
    if flags & 1:
        for _ in range(cursor.upto(limits.ATTRIBUTES, "attributes")):
            attribute = cursor.blob(limits.NAME, "name of an attribute")
            found.attributes.append((attribute, cursor.blob(limits.ATTRIBUTE_VALUE, "value of an attribute")))
    return found


def data_ranges(cursor, size):
    ranges, end = [], 0
    for _ in range(cursor.upto(limits.DATA_RANGES, "data ranges")):
        offset = end + cursor.varint()
        end = offset + cursor.varint()
        if end > size:
            raise Damage("field", "data range")
        ranges.append((offset, end - offset))
    return ranges
