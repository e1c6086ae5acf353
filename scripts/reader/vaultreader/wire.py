"""Numbers, texts of bytes and JSON [V-1.3] to [V-1.10]."""

import base64
import binascii
import json
import re

from .damage import Damage

U32 = (1 << 32) - 1
U64 = (1 << 64) - 1


class Cursor:
    """Reads one object from front to end."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        if count > self.left():
            raise Damage("truncated")
        out = self.data[self.at : self.at + count]
        self.at += count
        return bytes(out)

    def fixed(self, size):
        return int.from_bytes(self.take(size), "little")

    def u8(self):
        return self.fixed(1)

    def u16(self):
        return self.fixed(2)

    def u32(self):
        return self.fixed(4)

    def u64(self):
        return self.fixed(8)

    def varint(self):
        value = 0
        for position in range(10):
            byte = self.u8()
            if position == 9 and byte > 1:
                raise Damage("field", "varint above 64 bits")
            if byte == 0 and position > 0:
                raise Damage("field", "varint is not the shortest")
            value |= (byte & 0x7F) << (7 * position)
            if byte < 0x80:
                return value
        raise Damage("field", "varint of eleven bytes")

    def zigzag(self):
        raw = self.varint()
        return raw >> 1 if raw % 2 == 0 else -(raw >> 1) - 1

    def upto(self, most, what):
        value = self.varint()
        if value > most:
            raise Damage("limit", what)
        return value

    def blob(self, most, what):
        return self.take(self.upto(most, what))

    def end(self):
        if self.left():
            raise Damage("trailing")


def head(cursor, magic, version=1):
    """Magic, version, three reserved bytes."""
    if cursor.take(4) != magic:
        raise Damage("magic")
    found = cursor.u8()
    if found != version:
        raise Damage("version", str(found))
    if cursor.take(3) != bytes(3):
        raise Damage("field", "reserved")


def unhex(text, size):
    """Lower-case hex of `size` bytes, as it stands in a document."""
    if not isinstance(text, str) or not re.fullmatch(r"[0-9a-f]*", text) or len(text) != 2 * size:
        raise Damage("document", f"no hex of {size} bytes")
    return bytes.fromhex(text)


def unbase64(text):
    """Strict base64; None where it is not."""
    try:
        out = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return out if base64.b64encode(out).decode() == text else None


def document(data):
    """A JSON document [V-1.8], its fields not checked yet."""

    def fields(pairs):
        out = {}
        for key, value in pairs:
            if key in out:
                raise Damage("document", f"field {key!r} comes twice")
            out[key] = value
        return out

    def refuse(text):
        raise Damage("document", f"number {text}")

    def integer(text):
        if text.startswith("-"):
            refuse(text)
        return int(text)

    try:
        out = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=fields,
            parse_float=refuse,
            parse_constant=refuse,
            parse_int=integer,
        )
    except (ValueError, RecursionError) as error:
        raise Damage("document", str(error)) from error
    return out


def only_fields(value, required, optional=()):
    """Refuses what is no object with these fields."""
    if not isinstance(value, dict):
        raise Damage("document", "no object")
    for name in value:
        if name not in required and name not in optional:
            raise Damage("document", f"field {name!r} is not known")
    for name in required:
        if name not in value:
            raise Damage("document", f"field {name!r} is missing")
    return value


def number(value, most):
    """A non-negative integer of a type that ends at `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise Damage("document", "a number out of its range")
    return value


def text(value):
    if not isinstance(value, str):
        raise Damage("document", "no text")
    return value


def texts(value):
    if not isinstance(value, list):
        raise Damage("document", "no list")
    return [text(item) for item in value]


def is_label(value):
    return re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", value) is not None


def is_time(value):
    match = re.fullmatch(r"[0-9]{4}-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,9})?Z", value)
    if not match:
        return False
    month, day, hour, minute, second = (int(part) for part in match.groups()[:5])
    return 1 <= month <= 12 and 1 <= day <= 31 and hour <= 23 and minute <= 59 and second <= 59
