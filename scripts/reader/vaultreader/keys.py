"""The vault document, keyrings, epochs, keyholders [V-3.2], [V-4]."""

import base64
import re
from dataclasses import dataclass

from . import limits
from .crypto import (
    PUBLIC_KEY_LEN,
    SEALED_LEN,
    ReadKey,
    blake3,
    blake3_derive,
    blake3_keyed,
    commitment,
    is_public_key,
    signature_verifies,
)
from .damage import Damage
from .wire import U32, U64, Cursor, document, head, is_label, is_time, number, only_fields, text, texts, unbase64, unhex


def vault_document(data):
    """Vault id and signing key [V-3.2]."""
    cursor = Cursor(data)
    head(cursor, b"SRVT")
    vault, signing_key, found = cursor.take(16), cursor.take(32), cursor.take(32)
    cursor.end()
    if blake3(data[:56]) != found:
        raise Damage("hash")
    if blake3(signing_key)[:16] != vault:
        raise Damage("foreign", "the id is not made of the signing key")
    return vault, signing_key


def context(vault, dataset, purpose, epoch):
    """The canonical form of [V-4.1]."""
    return (
        f"strongroom:dataset={dataset}\n"
        f"strongroom:epoch={epoch}\n"
        f"strongroom:purpose={purpose}\n"
        f"strongroom:vault={vault.hex()}\n"
    ).encode()


def field(condition, what):
    if not condition:
        raise Damage("field", what)


def limit(condition, what):
    if not condition:
        raise Damage("limit", what)


def policy_shape(node):
    """The form of a policy [V-4.2]; what is wrong with its content is found by `check_policy`."""
    if isinstance(node, str):
        return
    if not isinstance(node, dict) or list(node) not in (["any"], ["all"], ["threshold", "of"]):
        raise Damage("document", "a policy node that is not known")
    if "threshold" in node and (isinstance(node["threshold"], bool) or not isinstance(node["threshold"], int)):
        raise Damage("document", "a threshold that is no number")
    if not isinstance(children(node), list):
        raise Damage("document", "a policy node without a list")
    for child in children(node):
        policy_shape(child)


def children(node):
    """The children of a node."""
    return [] if isinstance(node, str) else node.get("any", node.get("all", node.get("of")))


def needed(node):
    """How many children of a node are needed together."""
    if isinstance(node, str) or "any" in node:
        return 1
    return len(node["all"]) if "all" in node else node["threshold"]


def seats(node, share=False):
    """The labels of all keyholders, each with whether it holds a share only."""
    if isinstance(node, str):
        return [(node, share)]
    share = share or needed(node) > 1
    return [seat for child in children(node) for seat in seats(child, share)]


def leaves(node):
    return [label for label, _ in seats(node)]


def check_policy(node, known=None):
    def depth(node):
        if isinstance(node, str):
            field(is_label(node), "label in a policy")
            return 1
        field(children(node), "an empty policy node")
        field(1 <= needed(node) <= len(children(node)), "threshold of a policy node")
        return 1 + max(depth(child) for child in children(node))

    limit(depth(node) <= limits.POLICY_DEPTH, "depth of a policy")
    labels = leaves(node)
    limit(len(labels) <= limits.POLICY_LEAVES, "keyholders of a policy")
    field(len(set(labels)) == len(labels), "a keyholder twice in a policy")
    if known is not None:
        field(all(label in known for label in labels), "a policy names a keyholder that is not there")


def wrapped_shape(value):
    only_fields(value, ["policy", "commitment", "wraps"])
    policy_shape(value["policy"])
    unhex(value["commitment"], 32)
    if not isinstance(value["wraps"], list):
        raise Damage("document", "no list of wraps")
    for wrap in value["wraps"]:
        only_fields(wrap, ["holder", "blob"] + ["commitment"] * ("commitment" in wrap))
        if "commitment" in wrap:
            unhex(wrap["commitment"], 32)
        text(wrap["holder"])
        if unbase64(text(wrap["blob"])) is None:
            raise Damage("document", "a blob that is no base64")


def check_wrapped(value, known=None):
    check_policy(value["policy"], known)
    limit(all(len(unbase64(wrap["blob"])) <= limits.WRAP for wrap in value["wraps"]), "blob of a wrap")
    holders = sorted((wrap["holder"], "commitment" in wrap) for wrap in value["wraps"])
    field(holders == sorted(seats(value["policy"])), "wraps are not those of the policy")


def json_object(data, magic, tail):
    """The frame of keyrings and epochs: the signed bytes, the document, what follows."""
    limit(len(data) <= limits.DOCUMENT, "document")
    cursor = Cursor(data)
    head(cursor, magic)
    length = cursor.u32()
    body = cursor.take(length)
    rest = cursor.take(tail)
    cursor.end()
    return data[: 12 + length], body, rest


DATASET_FIELDS = [
    "name", "id", "created", "read_policy", "write_policy", "epoch_days", "chunk_min", "chunk_max", "pack_size",
    "write_key",
]  # fmt: skip
KEYRING_FIELDS = [
    "version", "vault", "signing_key", "created", "keyholders", "read_policy", "write_policy", "signing", "datasets",
]  # fmt: skip


def keyring(data, vault):
    """A keyring, verified [V-4.3], [V-4.4]."""
    signed, body, signature = json_object(data, b"SRKR", 64)
    found = document(body)
    if not isinstance(found, dict) or "signing_key" not in found:
        raise Damage("document", "no signing key")
    signing_key = unbase64(text(found["signing_key"]))
    if signing_key is None or len(signing_key) != 32:
        raise Damage("document", "signing key")
    if blake3(signing_key)[:16] != vault:
        raise Damage("foreign")
    if not signature_verifies(signing_key, signature, signed):
        raise Damage("signature")
    keyring_shape(found)
    check_keyring(found, vault)
    return found


def keyring_shape(found):
    only_fields(found, KEYRING_FIELDS, ["previous", "time_lock", "change"])
    if found.get("time_lock") is not None:
        number(found["time_lock"], U32)
    if found.get("change") is not None:
        unhex(found["change"], 32)
    number(found["version"], U32)
    if found.get("previous") is not None:
        unhex(found["previous"], 32)
    unhex(found["vault"], 16)
    text(found["created"])
    if not isinstance(found["keyholders"], dict):
        raise Damage("document", "keyholders")
    for holder in found["keyholders"].values():
        only_fields(holder, ["kind", "parameters"])
        text(holder["kind"])
        if not isinstance(holder["parameters"], dict):
            raise Damage("document", "parameters")
        for value in holder["parameters"].values():
            if isinstance(value, list):
                texts(value)
            elif not isinstance(value, str):
                number(value, U64)
    policy_shape(found["read_policy"])
    policy_shape(found["write_policy"])
    wrapped_shape(found["signing"])
    if not isinstance(found["datasets"], list):
        raise Damage("document", "datasets")
    for dataset in found["datasets"]:
        only_fields(dataset, DATASET_FIELDS)
        text(dataset["name"])
        unhex(dataset["id"], 16)
        text(dataset["created"])
        policy_shape(dataset["read_policy"])
        policy_shape(dataset["write_policy"])
        for name in ["epoch_days", "chunk_min", "chunk_max", "pack_size"]:
            number(dataset[name], U32)
        wrapped_shape(dataset["write_key"])


def check_keyring(found, vault):
    field(found["version"] >= 1, "version")
    field((found["version"] == 1) == (found.get("previous") is None), "previous")
    if bytes.fromhex(found["vault"]) != vault:
        raise Damage("foreign")
    field(is_time(found["created"]), "created")
    limit((found.get("time_lock") or 0) <= limits.TIME_LOCK, "time lock")
    holders = found["keyholders"]
    limit(len(holders) <= limits.KEYHOLDERS, "keyholders")
    for label, holder in holders.items():
        field(is_label(label) and is_label(holder["kind"]), "label of a keyholder")
        limit(len(holder["parameters"]) <= limits.PARAMETERS, "parameters")
        for name, value in holder["parameters"].items():
            field(is_label(name), "name of a parameter")
            several = value if isinstance(value, list) else [value]
            limit(len(several) <= limits.PARAMETER_LIST, "list of a parameter")
            for item in several:
                long = isinstance(item, str) and len(item.encode()) > limits.PARAMETER_TEXT
                limit(not long, "text of a parameter")
    check_policy(found["read_policy"], holders)
    check_policy(found["write_policy"], holders)
    check_wrapped(found["signing"], holders)
    datasets = found["datasets"]
    limit(len(datasets) <= limits.DATASETS, "datasets")
    field(len({dataset["name"] for dataset in datasets}) == len(datasets), "a dataset's name twice")
    field(len({dataset["id"] for dataset in datasets}) == len(datasets), "a dataset's id twice")
    for dataset in datasets:
        field(is_label(dataset["name"]), "name of a dataset")
        field(is_time(dataset["created"]), "created")
        field(1 <= dataset["epoch_days"] <= 3660, "epoch_days")
        field(1 <= dataset["chunk_min"] <= dataset["chunk_max"] <= limits.CHUNK, "chunk_max")
        field(1 <= dataset["pack_size"] <= limits.PACK, "pack_size")
        check_policy(dataset["read_policy"], holders)
        check_policy(dataset["write_policy"], holders)
        check_wrapped(dataset["write_key"], holders)


@dataclass
class Epoch:
    """An epoch document that is not believed yet."""

    document: dict
    tagged: bytes
    tag: bytes
    public_key: bytes
    write_key: bytes

    def verify(self, write_keys, epoch, generation):
        """What can be checked with the write key only [V-4.6]."""
        if blake3_keyed(write_keys.epoch_tag_key, self.tagged) != self.tag:
            raise Damage("signature")
        field((self.document["epoch"], self.document["generation"]) == (epoch, generation), "numbers and name differ")


def epoch(data, vault, dataset):
    tagged, body, tag = json_object(data, b"SREP", 32)
    found = document(body)
    only_fields(
        found, ["vault", "dataset", "epoch", "generation", "opened", "public_key", "write_key", "read_key"]
    )
    found_vault, found_dataset = unhex(found["vault"], 16), unhex(found["dataset"], 16)
    number(found["epoch"], U32)
    number(found["generation"], U32)
    text(found["opened"])
    wrapped_shape(found["read_key"])
    if (found_vault, found_dataset) != (vault, dataset):
        raise Damage("foreign")
    field(found["epoch"] >= 1, "epoch")
    field(is_time(found["opened"]), "opened")
    check_wrapped(found["read_key"])
    public_key, write_key = unbase64(text(found["public_key"])), unbase64(text(found["write_key"]))
    field(public_key is not None and is_public_key(public_key), "public key")
    field(write_key is not None and len(write_key) == SEALED_LEN, "write key")
    return Epoch(found, tagged, tag, public_key, write_key)


def key_file(data):
    """The seed in a key file [V-4.5]."""
    limit(len(data) <= limits.KEY_FILE, "key file")
    lines = [line.strip() for line in data.decode("utf-8").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    field(len(lines) == 1, "a key file has one line that is no comment")
    prefix = "STRONGROOM-KEY-1-"
    line = lines[0].upper()
    field(line.startswith(prefix), "prefix of a key file")
    encoded = line[len(prefix) :]
    field(re.fullmatch(r"[A-Z2-7]{58}", encoded) is not None, "base32 of a key file")
    raw = base64.b32decode(encoded + "=" * (-len(encoded) % 8))
    seed, checksum = raw[:32], raw[32:]
    field(blake3_derive("strongroom v1 key file checksum", seed)[:4] == checksum, "checksum of a key file")
    return seed


def blob_of(kind, read_key, blob, canonical):
    """Opens what a keyholder of the kind `file` or `passphrase` made [V-4.5]."""
    cursor = Cursor(blob)
    version = cursor.u8()
    if version != 1:
        raise Damage("version", str(version))
    return read_key.open(f"strongroom v1 {kind} keyholder\0".encode() + canonical, cursor.take(cursor.left()))


def public_parameter(parameters):
    public = parameters.get("public_key")
    public = unbase64(public) if isinstance(public, str) else None
    field(public is not None and len(public) == PUBLIC_KEY_LEN, "public_key of a keyholder")
    return public


def read_key_of(holder, key_files, passphrase):
    """The X-Wing key of a keyholder, where one of the secrets is its."""
    kind, parameters = holder["kind"], holder["parameters"]
    if kind == "file":
        field(set(parameters) == {"public_key"}, "parameters")
        candidates = [ReadKey(seed) for seed in key_files]
    elif kind == "passphrase" and passphrase is not None:
        field(set(parameters) == {"lanes", "memory", "passes", "public_key", "salt"}, "parameters")
        candidates = [ReadKey(stretch(parameters, passphrase))]
    else:
        return None
    public = public_parameter(parameters)
    return next((key for key in candidates if key.public == public), None)


def stretch(parameters, passphrase):
    from argon2.low_level import Type, hash_secret_raw

    for name, least, most in [("memory", 8192, 1048576), ("passes", 1, 64), ("lanes", 1, 64)]:
        field(isinstance(parameters[name], int) and least <= parameters[name] <= most, name)
    salt = unbase64(parameters["salt"])
    field(salt is not None and 16 <= len(salt) <= 64, "salt")
    return hash_secret_raw(
        passphrase,
        salt,
        time_cost=parameters["passes"],
        memory_cost=parameters["memory"],
        parallelism=parameters["lanes"],
        hash_len=32,
        type=Type.ID,
        version=0x13,
    )


def times(a, b):
    """Multiplication in the field of the shares [V-4.2]."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = (a << 1) ^ (0x11D if a & 0x80 else 0)
        b >>= 1
    return product


def combine(shares):
    """The secret of which these are the shares: pairs of where and what."""
    inverse = {a: next(b for b in range(1, 256) if times(a, b) == 1) for a in range(1, 256)}
    secret = bytearray(32)
    for at, share in shares:
        weight = 1
        for other, _ in shares:
            if other != at:
                weight = times(weight, times(other, inverse[other ^ at]))
        for nth, value in enumerate(share):
            secret[nth] ^= times(weight, value)
    return bytes(secret)


def unwrap(wrapped, holders, canonical, key_files, passphrase):
    """The key in a wrapped key, by the first keyholders of its policy that can open it."""

    def opened(node):
        if not isinstance(node, str):
            found = []
            for at, child in enumerate(children(node), 1):
                secret = opened(child)
                if secret is not None:
                    found.append((at, secret))
                if len(found) == needed(node):
                    return found[0][1] if needed(node) == 1 else combine(found)
            return None
        holder = holders.get(node)
        key = holder and read_key_of(holder, key_files, passphrase)
        if not key:
            return None
        wrap = next(wrap for wrap in wrapped["wraps"] if wrap["holder"] == node)
        secret = blob_of(holder["kind"], key, unbase64(wrap["blob"]), canonical)
        if commitment(secret).hex() != wrap.get("commitment", wrapped["commitment"]):
            raise Damage("field", "what a keyholder opened does not have its commitment")
        return secret

    secret = opened(wrapped["policy"])
    if secret is None:
        raise SystemExit(f"the secrets given do not open this key; its policy is {wrapped['policy']}")
    if commitment(secret).hex() != wrapped["commitment"]:
        raise Damage("field", "the key does not have its commitment")
    return secret
