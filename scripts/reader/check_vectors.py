#!/usr/bin/env python3
"""Checks this reader against testdata/vectors/*.json [V-13]. Exit code 1 where one does not come out."""

import json
import pathlib
import sys

from vaultreader import changes, crypto, keys, packs, tree, wire
from vaultreader.damage import Damage
from vaultreader.vault import parse_name


class Inputs:
    def __init__(self, values):
        self.values = values

    def __getitem__(self, name):
        return self.values[name]

    def raw(self, name):
        return bytes.fromhex(self.values[name])

    def under_write_key(self):
        return self.raw("bytes"), crypto.WriteKeys(self.raw("write_key")), self.raw("vault"), self.raw("dataset")

    def context(self):
        return keys.context(self.raw("vault"), self["dataset"], self["purpose"], self["epoch"])


def show_directory(found):
    records = [
        {"kind": 2, "salt": key.salt.hex()}
        if key.epoch is None
        else {"kind": 1, "salt": key.salt.hex(), "epoch": key.epoch, "sealed": key.sealed.hex()}
        for key in found.keys
    ]
    groups = [
        {
            "key": group.key,
            "number": group.number,
            "offset": group.offset,
            "stored_len": group.stored_len,
            "encoding": group.encoding,
            "chunks": [{"id": name.hex(), "len": length} for name, length in group.chunks],
        }
        for group in found.groups
    ]
    return {"chunk_kind": found.kind, "keys": records, "groups": groups}


def show_node(node):
    return {
        name: value if name == "node" else value.hex() if isinstance(value, bytes) else [one.hex() for one in value]
        for name, value in node.items()
    }


def show_entry(entry):
    out = {
        "name": entry.name.hex(),
        "kind": entry.kind,
        "mode": entry.mode,
        "owner": entry.owner,
        "group": entry.group,
        "seconds": entry.seconds,
        "nanoseconds": entry.nanoseconds,
    }
    if entry.kind == "file":
        ranges = None if entry.data_ranges is None else [list(one) for one in entry.data_ranges]
        out |= {"size": entry.size, "lists": entry.lists, "count": entry.count, "data_ranges": ranges}
    elif entry.kind == "symbolic link":
        out["target"] = entry.target.hex()
    elif entry.kind.endswith("device"):
        out |= {"major": entry.major, "minor": entry.minor}
    if entry.hard_link:
        out["hard_link"] = {"device": entry.hard_link[0], "inode": entry.hard_link[1]}
    if entry.attributes:
        out["attributes"] = [[name.hex(), value.hex()] for name, value in entry.attributes]
    return out


def cut(i):
    """[V-5.2]"""
    a, b = crypto.WriteKeys(i.raw("write_key")).chunker_seed()
    rest, lengths = i.raw("content"), []
    while rest:
        most = min(len(rest), i["chunk_max"])
        length = most
        if len(rest) > i["chunk_min"] and most >= 4:
            value = lambda end: (int.from_bytes(rest[end - 4 : end], "little") * a + b) % 2**32
            length = min(range(max(i["chunk_min"], 4), most + 1), key=lambda end: (value(end), end))
        lengths.append(length)
        rest = rest[length:]
    return {"a": a, "b": b, "lengths": lengths}


def epoch(i):
    data, write_keys, vault, dataset = i.under_write_key()
    found = keys.epoch(data, vault, dataset)
    found.verify(write_keys, i["epoch"], i["generation"])
    return {"document": found.document}


def hpke(i):
    key = crypto.ReadKey(i.raw("seed"))
    info = crypto.sealed_for(i["what"], i.raw("vault"), i.raw("dataset"), i["epoch"])
    return {"public_key": key.public.hex(), "secret": key.open(info, i.raw("sealed")).hex()}


def group(i):
    key = crypto.group_key(i.raw("secret"), i.raw("salt"))
    raw = packs.open_group(
        key, i.raw("vault"), i.raw("dataset"), i["chunk_kind"], i["encoding"], i["number"], i["raw_len"],
        i.raw("bytes"),
    )  # fmt: skip
    return {"raw": raw.hex()}


def pack(i):
    found = packs.pack_directory(*i.under_write_key())
    return {"hash": crypto.blake3(i.raw("bytes")).hex(), "directory": show_directory(found)}


def index_segment(i):
    found = packs.segment(*i.under_write_key())
    return {
        "packs": [{"hash": name.hex(), "len": length, "directory": show_directory(one)} for name, length, one in found]
    }


def snapshot(i):
    epoch, found = packs.snapshot(*i.under_write_key())
    # Null and absent are the same.
    found = {name: value for name, value in found.items() if value is not None}
    return {"epoch": epoch, "document": found}


def keyring(i):
    found = keys.keyring(i.raw("bytes"), i.raw("vault"))
    return {"document": {"previous": None} | found}


def varint(i):
    cursor = wire.Cursor(i.raw("bytes"))
    value = cursor.zigzag() if i["form"] == "zigzag" else cursor.varint()
    cursor.end()
    return {"value": str(value)}


def vault_document(i):
    vault, signing_key = keys.vault_document(i.raw("bytes"))
    return {"vault": vault.hex(), "signing_key": signing_key.hex()}


def name(i):
    parts = parse_name(i["name"])
    if parts is None or parts.pop("what") != i["what"] or parts.pop("dataset") != i["dataset"]:
        raise Damage("field", "name")
    return parts


CHECKS = {
    "cancellation": lambda i: {
        "document": changes.cancellation(i.raw("bytes"), i.raw("change"), keys.unbase64(i["signing_key"]))
    },
    "certificate": lambda i: {"document": changes.certificate(i.raw("bytes"), i.raw("vault"))},
    "change": lambda i: {"document": changes.change(i.raw("bytes"), keys.unbase64(i["signing_key"]))},
    "chunk id": lambda i: {
        "id": crypto.WriteKeys(i.raw("write_key")).chunk_id(i["chunk_kind"], i.raw("content")).hex()
    },
    "commitment": lambda i: {"commitment": crypto.commitment(i.raw("secret")).hex()},
    "condemnation": lambda i: {"document": packs.condemnation(*i.under_write_key())},
    "context": lambda i: {"canonical": i.context().hex()},
    "cut": cut,
    "derive": lambda i: {"key": crypto.derive(i.raw("secret"), i.raw("salt"), i["info"]).hex()},
    "epoch": epoch,
    "group": group,
    "hpke": hpke,
    "index segment": index_segment,
    "keyholder blob": lambda i: {
        "key": keys.blob_of(i["holder"], crypto.ReadKey(i.raw("seed")), i.raw("blob"), i.context()).hex()
    },
    "keyring": keyring,
    "meta page": lambda i: {"entries": [show_entry(one) for one in tree.meta_page(i.raw("bytes"))]},
    "name": name,
    "pack": pack,
    "pack directory": lambda i: {"directory": show_directory(packs.directory(i.raw("bytes")))},
    "padded": lambda i: {"padded": crypto.padded(i["len"])},
    "path": lambda i: {"bytes": packs.unescape(i["text"]).hex()},
    "refs node": lambda i: show_node(tree.refs_node(i.raw("bytes"))),
    "shares": lambda i: {
        "secret": keys.combine([(share["at"], bytes.fromhex(share["share"])) for share in i["shares"]]).hex()
    },
    "session marker": lambda i: {"document": packs.session_marker(*i.under_write_key())},
    "snapshot": snapshot,
    "varint": varint,
    "vault document": vault_document,
}


def main():
    here = pathlib.Path(__file__).resolve()
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here.parents[2] / "testdata" / "vectors"
    checked, wrong = 0, 0
    for path in sorted(folder.glob("*.json")):
        for vector in json.loads(path.read_text()):
            try:
                found = (None, CHECKS[vector["kind"]](Inputs(vector["in"])))
            except Damage as damage:
                found = (damage.word, None)
            checked += 1
            if found != (vector["damage"], vector.get("out")):
                wrong += 1
                print(f"{path.name}: {vector['name']}: expected {vector['damage']}, found {found}", file=sys.stderr)
    print(f"{checked} vectors, {wrong} wrong")
    return 1 if wrong or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
