"""moto's server with the states of KMS keys: moto 5.2 goes on to use keys that are disabled or about to be deleted.
It also switches keys by their ARNs, not by their ids alone.

moto_strict.py takes the arguments of moto_server: -H HOST -p PORT
"""

import functools
import inspect
import sys

from moto.core.exceptions import JsonRESTError
from moto.kms.models import KmsBackend
from moto.server import main

# A ciphertext of moto starts with the id of its symmetric key.
KEY_ID_LEN = 36
USES_KEY = ("encrypt", "decrypt", "re_encrypt", "generate_data_key", "generate_mac", "verify_mac", "sign", "verify")
SWITCHES_KEY = ("enable_key", "disable_key", "schedule_key_deletion", "cancel_key_deletion")


class Refused(JsonRESTError):
    code = 400


def refuse_unusable(backend, name):
    """Raises what AWS KMS answers where the key that `name` names may not be used."""
    try:
        key = backend.keys[backend.any_id_to_key_id(name)]
    except Exception:
        return  # No such key: moto itself says so.
    if key.key_state == "Disabled":
        raise Refused("DisabledException", f"{key.arn} is disabled.")
    if key.key_state != "Enabled":
        words = {"PendingDeletion": "pending deletion", "PendingImport": "pending import"}
        raise Refused("KMSInvalidStateException", f"{key.arn} is {words.get(key.key_state, key.key_state)}.")


def keys_in(arguments):
    """The names of the keys that a call of the backend uses."""
    for name in ("key_id", "destination_key_id"):
        if arguments.get(name):
            yield arguments[name]
    blob = arguments.get("ciphertext_blob")
    if isinstance(blob, bytes):
        yield blob[:KEY_ID_LEN].decode("latin1")


def guard(method):
    original = getattr(KmsBackend, method)
    signature = inspect.signature(original)

    @functools.wraps(original)
    def guarded(self, *args, **kwargs):
        for name in keys_in(signature.bind(self, *args, **kwargs).arguments):
            refuse_unusable(self, name)
        return original(self, *args, **kwargs)

    setattr(KmsBackend, method, guarded)


def by_any_name(method):
    """Lets a method that knows keys by their ids take ARNs too."""
    original = getattr(KmsBackend, method)

    @functools.wraps(original)
    def named(self, key_id, *args, **kwargs):
        return original(self, self.any_id_to_key_id(key_id), *args, **kwargs)

    setattr(KmsBackend, method, named)


for method in USES_KEY:
    guard(method)
for method in SWITCHES_KEY:
    by_any_name(method)
main(sys.argv[1:])
