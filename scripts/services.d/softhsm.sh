# SoftHSM2: a PKCS#11 token in software. No daemon: a library that the tests load, and a folder with one token.
# shellcheck shell=bash disable=SC2154

softhsm_token=strongroom-test

softhsm_module() {
  local candidate
  for candidate in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so /usr/lib64/softhsm/libsofthsm2.so \
    /usr/local/lib/softhsm/libsofthsm2.so; do
    [[ -e "$candidate" ]] && printf '%s' "$candidate" && return
  done
  return 1
}

softhsm_install() {
  need softhsm2-util softhsm2
  softhsm_module >/dev/null || die "softhsm: there is no libsofthsm2.so (Debian: apt-get install softhsm2)"
}

# Throw-away PINs of a token that exists in .services/ only.
softhsm_start() {
  local folder="$services_root/softhsm"
  rm -rf "$folder"
  mkdir -p "$folder/tokens"
  cat >"$folder/softhsm2.conf" <<CONF
directories.tokendir = $folder/tokens
objectstore.backend = file
log.level = ERROR
slots.removable = false
CONF
  (umask 077 && printf '1234\n' >"$folder/pin")
  SOFTHSM2_CONF="$folder/softhsm2.conf" softhsm2-util --init-token --free --label $softhsm_token \
    --so-pin 12345678 --pin 1234 >"$services_root/softhsm.log" 2>&1 || die "softhsm: no token could be made"
}

softhsm_running() { [[ -e "$services_root/softhsm/pin" ]]; }

softhsm_healthy() {
  SOFTHSM2_CONF="$services_root/softhsm/softhsm2.conf" softhsm2-util --show-slots 2>/dev/null |
    grep -q "Label: *$softhsm_token *\$"
}

softhsm_stop() { rm -rf "$services_root/softhsm"; }

softhsm_env() {
  local module
  module="$(softhsm_module)" || die "softhsm: not installed"
  cat <<ENV
export SOFTHSM2_CONF=$services_root/softhsm/softhsm2.conf
export STRONGROOM_TEST_PKCS11_MODULE=$module
export STRONGROOM_TEST_PKCS11_TOKEN=$softhsm_token
export STRONGROOM_TEST_PKCS11_PIN_FILE=$services_root/softhsm/pin
ENV
}
