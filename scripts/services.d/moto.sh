# moto: AWS in memory, here with the states of KMS keys. Its KMS authenticates ciphertexts; it checks nobody's rights.
# shellcheck shell=bash disable=SC2154

moto_requirement="moto[server]==5.2.5"
moto_port=18500

moto_install() { venv_install "$moto_requirement"; }

moto_start() {
  require_ports moto "$moto_port"
  spawn moto "$services_venv/bin/python" "$here/services.d/moto_strict.py" -H 127.0.0.1 -p "$moto_port"
}

moto_healthy() {
  python3 - "$moto_port" <<'PY' 2>/dev/null
import sys, urllib.request
urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/moto-api/", timeout=2)
PY
}

moto_stop() { terminate moto; }

moto_env() {
  cat <<ENV
export STRONGROOM_TEST_MOTO_ENDPOINT=http://127.0.0.1:$moto_port
export STRONGROOM_TEST_MOTO_ADMIN=TESTADMIN:test-admin-secret
ENV
}
