# LocalStack (the Apache-2.0 core): KMS with authenticated ciphertexts, states of keys, imported and multi-Region keys.
# It listens on every interface whatever it is told, so that it runs in a network of its own.
# shellcheck shell=bash disable=SC2154

localstack_requirements=("localstack-core[runtime]==4.14.0" "cbor2<5.8" "pyopenssl<25.2" "cryptography<46" "service_identity")
localstack_port=18567
localstack_venv="$services_root/venv-localstack"

# The Python that it runs on. It needs 3.13, and leave to make a network, which are not everywhere.
localstack_python() {
  local python
  for python in python3.13 "$HOME"/.pyenv/versions/3.13.*/bin/python3.13; do
    if "$python" -c 'import venv, ensurepip' 2>/dev/null &&
      "$python" "$here/services.d/loopback_only.py" --check 2>/dev/null; then
      command -v "$python"
      return
    fi
  done
  return 1
}

localstack_install() {
  local python
  if ! python="$(localstack_python)"; then
    say "localstack: left out, because it needs Python 3.13, \`ip\` and leave to make a network; its tests are skipped"
    return
  fi
  [[ -x "$localstack_venv/bin/pip" ]] || "$python" -m venv "$localstack_venv"
  local marker="$localstack_venv/.installed"
  # Together: each of them narrows the versions of the others.
  [[ -e "$marker" ]] ||
    "$localstack_venv/bin/pip" install --quiet --disable-pip-version-check "${localstack_requirements[@]}"
  touch "$marker"
}

localstack_start() {
  localstack_python >/dev/null || return 0
  require_ports localstack "$localstack_port"
  local data="$services_root/localstack"
  # A cache of an older run may name plugins that are gone.
  rm -rf "$data"
  mkdir -p "$data/root" "$data/cache"
  spawn localstack env GATEWAY_LISTEN=127.0.0.1:4566 DNS_ADDRESS=0 DISABLE_EVENTS=1 SKIP_SSL_CERT_DOWNLOAD=1 \
    FILESYSTEM_ROOT="$data/root" XDG_CACHE_HOME="$data/cache" \
    "$localstack_venv/bin/python" "$here/services.d/loopback_only.py" "$localstack_port" 4566 \
    "$localstack_venv/bin/python" -m localstack.runtime.main
}

localstack_healthy() {
  localstack_python >/dev/null || return 0
  python3 - "$localstack_port" <<'PY' 2>/dev/null
import sys, urllib.request
urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/_localstack/health", timeout=2)
PY
}

localstack_stop() { terminate localstack; }

# An empty endpoint says that this machine cannot have it.
localstack_env() {
  local endpoint=""
  ! localstack_python >/dev/null || endpoint="http://127.0.0.1:$localstack_port"
  cat <<ENV
export STRONGROOM_TEST_LOCALSTACK_ENDPOINT=$endpoint
export STRONGROOM_TEST_LOCALSTACK_ADMIN=123456789012:test
ENV
}
