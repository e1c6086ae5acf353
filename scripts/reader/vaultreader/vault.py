"""A vault in a local directory [V-3], and how its parts are found [V-12]."""

import pathlib
import re
from collections import OrderedDict
from itertools import islice

from . import keys, limits, packs, tree
from .crypto import ReadKey, WriteKeys, blake3, commitment, group_key, sealed_for
from .damage import Damage

HEX8, HEX32, HEX64 = "[0-9a-f]{8}", "[0-9a-f]{32}", "[0-9a-f]{64}"
NAMES = {
    "epoch": f"epochs/(?P<epoch>{HEX8})[.](?P<generation>{HEX8})",
    "pack": f"packs/(?P<prefix>[0-9a-f]{{2}})/(?P<hash>{HEX64})",
    "segment": f"index/(?P<hash>{HEX64})",
    "snapshot": f"snapshots/(?P<epoch>{HEX8})-(?P<hash>{HEX64})",
    "session": f"sessions/(?P<session>{HEX32})[.](?P<sequence>{HEX8}|end)",
    "condemnation": f"condemned/(?P<hash>{HEX64})",
}


def parse_name(name):
    """What a dataset's object is, by its name [V-3.3]; None where the name is none of them."""
    for what, pattern in NAMES.items():
        match = re.fullmatch(f"datasets/(?P<dataset>{HEX32})/{pattern}", name)
        if not match:
            continue
        parts = match.groupdict() | {"what": what}
        if parts.get("prefix") not in (None, parts.get("hash", "")[:2]):
            return None
        parts.pop("prefix", None)
        for number in ["epoch", "generation", "sequence"]:
            if number in parts:
                parts[number] = None if parts[number] == "end" else int(parts[number], 16)
        return parts
    return None


class Store:
    """A directory of objects."""

    def __init__(self, root):
        self.root = pathlib.Path(root)

    def read(self, name, most):
        path = self.root / name
        if path.stat().st_size > most:
            raise Damage("limit", name)
        return path.read_bytes()

    def read_named_by_hash(self, name, most):
        data = self.read(name, most)
        if blake3(data).hex() != name[-64:]:
            raise Damage("hash", name)
        return data

    def read_range(self, name, offset, length):
        with open(self.root / name, "rb") as file:
            file.seek(offset)
            data = file.read(length)
        if len(data) != length:
            raise Damage("truncated", name)
        return data

    def list(self, folder):
        found = (path for path in (self.root / folder).rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.root)) for path in found)


class Vault:
    """The vault document and the keyring in force [V-3.2], [V-4.4]."""

    def __init__(self, root):
        self.store = Store(root)
        self.id, self.signing_key = keys.vault_document(self.store.read("vault", limits.DOCUMENT))
        names = [name for name in self.store.list("keyring") if re.fullmatch(f"keyring/{HEX8}", name)]
        if not names:
            raise Damage("truncated", "no keyring")
        previous = None
        for name in sorted(names):
            data = self.store.read(name, limits.DOCUMENT)
            self.keyring = keys.keyring(data, self.id)
            version = int(name[-8:], 16)
            follows = previous is None or (version, self.keyring["previous"]) == previous
            if self.keyring["version"] != version or not follows:
                raise Damage("field", f"{name} does not follow the keyring before")
            previous = version + 1, blake3(data).hex()

    def dataset_record(self, name):
        for record in self.keyring["datasets"]:
            if record["name"] == name:
                return record
        known = ", ".join(record["name"] for record in self.keyring["datasets"])
        raise SystemExit(f"no dataset {name!r}; there are: {known}")


class Dataset:
    """A dataset, opened with one read key to begin with."""

    def __init__(self, vault, name, key_files=(), passphrase=None):
        self.vault, self.store, self.name = vault, vault.store, name
        self.secrets = key_files, passphrase
        self.record = vault.dataset_record(name)
        self.id = bytes.fromhex(self.record["id"])
        self.folder = f"datasets/{self.record['id']}"
        self.write_keys = None
        self.read_keys = {}
        self.chunks = None
        self.groups = OrderedDict()
        self.group_keys = {}
        snapshots = self.objects("snapshots")
        self.read_key(snapshots[-1]["epoch"] if snapshots else max(one["epoch"] for one in self.objects("epochs")))

    def objects(self, folder):
        """The parsed names in a folder, in the order of the names."""
        found = []
        for name in self.store.list(f"{self.folder}/{folder}"):
            parts = parse_name(name)
            if parts:
                found.append(parts | {"name": name})
        return found

    def read_key(self, number):
        """The read key of an epoch: one use of a keyholder's key."""
        if number in self.read_keys:
            return self.read_keys[number]
        generations = [one for one in self.objects("epochs") if one["epoch"] == number]
        if not generations:
            raise Damage("truncated", f"epoch {number} is missing")
        newest = max(generations, key=lambda one: one["generation"])
        epoch = keys.epoch(self.store.read(newest["name"], limits.DOCUMENT), self.vault.id, self.id)
        canonical = keys.context(self.vault.id, self.name, "read", number)
        seed = keys.unwrap(epoch.document["read_key"], self.vault.keyring["keyholders"], canonical, *self.secrets)
        key = ReadKey(seed)
        if key.public != epoch.public_key:
            raise Damage("field", "the read key is not that of the epoch")
        if self.write_keys is None:
            secret = key.open(sealed_for("write key", self.vault.id, self.id, number), epoch.write_key)
            if commitment(secret).hex() != self.record["write_key"]["commitment"]:
                raise Damage("field", "the write key does not have its commitment")
            self.write_keys = WriteKeys(secret)
        epoch.verify(self.write_keys, number, newest["generation"])
        self.read_keys[number] = key
        return key

    def snapshots(self):
        """Hash and document of each snapshot, the oldest first."""
        found = []
        for parts in self.objects("snapshots"):
            data = self.store.read_named_by_hash(parts["name"], limits.DOCUMENT)
            epoch, snapshot = packs.snapshot(data, self.write_keys, self.vault.id, self.id)
            if epoch != parts["epoch"]:
                raise Damage("field", "epoch of a snapshot")
            found.append((parts["hash"], snapshot))
        return sorted(found, key=lambda one: one[1]["time"])

    def load_index(self):
        self.chunks = {}
        for parts in self.objects("index"):
            data = self.store.read_named_by_hash(parts["name"], limits.SEGMENT)
            for pack, _, directory in packs.segment(data, self.write_keys, self.vault.id, self.id):
                self.add(pack, directory)

    def load_directories(self):
        """As `load_index`, from the packs themselves, whatever the index says."""
        self.chunks = {}
        for parts in self.objects("packs"):
            data = self.store.read_named_by_hash(parts["name"], limits.PACK)
            directory = packs.pack_directory(data, self.write_keys, self.vault.id, self.id)
            self.add(bytes.fromhex(parts["hash"]), directory)

    def add(self, pack, directory):
        for group in directory.groups:
            offset = 0
            for chunk, length in group.chunks:
                self.chunks.setdefault(chunk, []).append((pack, directory, group, offset, length))
                offset += length

    def chunk(self, kind, name):
        """The raw bytes of a chunk, its id checked [V-2.4]."""
        failure = Damage("truncated", f"chunk {name.hex()} is in no pack")
        for pack, directory, group, offset, length in self.chunks.get(name, []):
            try:
                raw = self.raw_group(pack, directory, group)[offset : offset + length]
                if directory.kind == kind and self.write_keys.chunk_id(kind, raw) == name:
                    return raw
                failure = Damage("hash", f"chunk {name.hex()}")
            except (Damage, OSError) as error:
                failure = error
        raise failure

    def raw_group(self, pack, directory, group):
        place = pack, group.offset
        if place in self.groups:
            self.groups.move_to_end(place)
            return self.groups[place]
        name = f"{self.folder}/packs/{pack.hex()[:2]}/{pack.hex()}"
        stored = self.store.read_range(name, group.offset, group.stored_len)
        key = self.key_of(directory.keys[group.key])
        raw = packs.open_group(
            key, self.vault.id, self.id, directory.kind, group.encoding, group.number, group.raw_len, stored
        )
        self.groups[place] = raw
        while len(self.groups) > 64:
            self.groups.popitem(last=False)
        return raw

    def key_of(self, record):
        if record not in self.group_keys:
            if record.epoch is None:
                secret = self.write_keys.refs_secret
            else:
                info = sealed_for("session key", self.vault.id, self.id, record.epoch)
                secret = self.read_key(record.epoch).open(info, record.sealed)
            self.group_keys[record] = group_key(secret, record.salt)
        return self.group_keys[record]

    def refs(self, name, *forms):
        node = tree.refs_node(self.chunk(3, name))
        if node["node"] not in forms:
            raise Damage("field", f"a {node['node']} where {forms} must stand")
        return node

    def entries(self, directory):
        """The entries of a directory, each with what it points to [V-6.5]: (entry, refs id or chunk ids)."""
        node = self.refs(directory, "page", "fan")
        pages = [node] if node["node"] == "page" else [self.refs(page, "page") for page in node["pages"]]
        last = b""
        for page in pages:
            take = {name: iter(page[name]) for name in ["directories", "lists", "chunks"]}

            def some(name, count):
                out = list(islice(take[name], count))
                if len(out) != count:
                    raise Damage("field", f"a page has too few {name}")
                return out

            for entry in tree.meta_page(self.chunk(2, page["meta"])):
                if entry.name <= last:
                    raise Damage("field", "order of names over pages")
                last = entry.name
                if entry.kind == "directory":
                    yield entry, some("directories", 1)[0]
                elif entry.kind == "file" and entry.lists:
                    lists = some("lists", entry.count)
                    yield entry, [chunk for one in lists for chunk in self.refs(one, "list")["chunks"]]
                else:
                    yield entry, some("chunks", entry.count)
            for name in take:
                if next(take[name], None) is not None:
                    raise Damage("field", f"a page has too many {name}")
