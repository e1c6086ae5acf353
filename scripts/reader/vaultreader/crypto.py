"""Cryptography [V-2]."""

import hashlib
import hmac

import blake3 as _blake3
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .damage import Damage

PUBLIC_KEY_LEN = 1216
SEALED_LEN = 1168


def blake3(data):
    return _blake3.blake3(data).digest()


def blake3_keyed(key, data):
    return _blake3.blake3(data, key=key).digest()


def blake3_derive(context, data):
    return _blake3.blake3(data, derive_key_context=context).digest()


def hkdf_extract(salt, material):
    return hmac.new(salt or bytes(32), material, hashlib.sha256).digest()


def hkdf_expand(key, info, length):
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.new(key, block + info + bytes([counter]), hashlib.sha256).digest()
        out += block
        counter += 1
    return out[:length]


def derive(secret, salt, info):
    """[V-2.2]"""
    return hkdf_expand(hkdf_extract(salt, secret), info.encode(), 32)


def open_sealed(key, number, associated, data):
    """AES-256-GCM under the nonce of a number [V-2.3]."""
    if len(data) < 16:
        raise Damage("seal", "shorter than a tag")
    try:
        return AESGCM(key).decrypt(bytes(4) + number.to_bytes(8, "big"), bytes(data), associated)
    except InvalidTag:
        raise Damage("seal") from None


def commitment(secret):
    """[V-2.6]"""
    return blake3_derive("strongroom v1 key commitment", secret)


def padded(length):
    """[V-2.7]"""
    if length < 512:
        return 512
    if length < 16 << 20:
        exponent = length.bit_length() - 1
        unit = 1 << (exponent - exponent.bit_length())
    else:
        unit = 64 << 10
    return -(-length // unit) * unit


def signature_verifies(public_key, signature, data):
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


class ReadKey:
    """An X-Wing private key: a seed of 32 bytes [V-2.5]."""

    def __init__(self, seed):
        expanded = hashlib.shake_256(seed).digest(96)
        self.mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        self.x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
        self.x25519_public = self.x25519.public_key().public_bytes_raw()
        self.public = self.mlkem.public_key().public_bytes_raw() + self.x25519_public

    def decapsulate(self, encapsulated):
        theirs = encapsulated[1088:]
        try:
            of_x25519 = self.x25519.exchange(X25519PublicKey.from_public_bytes(theirs))
        except ValueError:
            # The library refuses a shared secret of zeros, which the draft does not.
            of_x25519 = bytes(32)
        of_mlkem = self.mlkem.decapsulate(encapsulated[:1088])
        label = rb"\.//^" + b"\\"
        return hashlib.sha3_256(of_mlkem + of_x25519 + theirs + self.x25519_public + label).digest()

    def open(self, info, sealed):
        """Single-shot HPKE in base mode (RFC 9180, section 5.1), without associated data."""
        if len(sealed) != SEALED_LEN:
            raise Damage("truncated", "sealed secret")
        shared = self.decapsulate(sealed[:1120])
        suite = b"HPKE" + bytes.fromhex("647a00010002")

        def extract(salt, label, material):
            return hkdf_extract(salt, b"HPKE-v1" + suite + label + material)

        def expand(key, label, context, length):
            labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + context
            return hkdf_expand(key, labelled, length)

        context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
        secret = extract(shared, b"secret", b"")
        key = expand(secret, b"key", context, 32)
        nonce = expand(secret, b"base_nonce", context, 12)
        try:
            return AESGCM(key).decrypt(nonce, sealed[1120:], b"")
        except InvalidTag:
            raise Damage("seal") from None


def is_public_key(data):
    """The length, and the modulus check of FIPS 203, section 7.2."""
    if len(data) != PUBLIC_KEY_LEN:
        return False
    for at in range(0, 1152, 3):
        three = int.from_bytes(data[at : at + 3], "little")
        if three & 0xFFF >= 3329 or three >> 12 >= 3329:
            return False
    return True


def sealed_for(what, vault, dataset, epoch):
    """The HPKE info of secrets that are sealed to an epoch [V-2.5]."""
    return f"strongroom v1 {what}\0".encode() + vault + dataset + epoch.to_bytes(4, "little")


CHUNK_KINDS = {1: "data", 2: "meta", 3: "refs"}


class WriteKeys:
    """A write key and what is derived from it [V-2.4]."""

    def __init__(self, secret):
        self.secret = secret
        self.ids = {
            number: derive(secret, b"", f"strongroom v1 {name} chunk id") for number, name in CHUNK_KINDS.items()
        }
        self.refs_secret = derive(secret, b"", "strongroom v1 refs groups")
        self.epoch_tag_key = derive(secret, b"", "strongroom v1 epoch document")

    def document_key(self, salt, info):
        return derive(self.secret, salt, info)

    def chunk_id(self, kind, content):
        return blake3_keyed(self.ids[kind], content)

    def chunker_seed(self):
        seed = derive(self.secret, b"", "strongroom v1 chunker")
        return int.from_bytes(seed[:4], "little") | 1, int.from_bytes(seed[4:8], "little")


def group_key(secret, salt):
    return derive(secret, salt, "strongroom v1 group")
