# shellcheck shell=bash disable=SC2034  # what is set here is for the scripts that source this
# Sourced by setup.sh and lock.sh, from the root of the repository: finds, or gets, uv and Python 3.9.
# A command can exist and still refuse to run (a pyenv shim, say), so every candidate is run.

# Settings of other tools must not steer set-up: of pip's and uv's, those that name an index, a proxy, a
# cache or a time-out remain. PYTHONPATH would let packages of elsewhere stand in for those of the lock.
KEPT_OF_PIP='^PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|PROXY|CERT|CLIENT_CERT|TRUSTED_HOST)$
^PIP_(TIMEOUT|DEFAULT_TIMEOUT|RETRIES|CACHE_DIR|NO_CACHE_DIR|CONFIG_FILE|KEYRING_PROVIDER)$'
KEPT_OF_UV='^UV(_DEFAULT_INDEX|_EXTRA_INDEX_URL|_INDEX|_INDEX_.*|_FIND_LINKS|_NO_INDEX|_KEYRING_PROVIDER)?$
^UV_(CACHE_DIR|NO_CACHE|LINK_MODE|OFFLINE|NATIVE_TLS|SYSTEM_CERTS|INSECURE_HOST|HTTP_.*|CONCURRENT_.*)$
^UV_(PYTHON_INSTALL_DIR|PYTHON_INSTALL_MIRROR|PYTHON_DOWNLOADS|PYTHON_CACHE_DIR|NO_PROGRESS)$'

clear_foreign_settings() {
  local name
  while read -r name; do
    unset "$name"
  done < <(compgen -e | grep -E '^(PIP|UV)_' | grep -vE "$KEPT_OF_PIP" | grep -vE "$KEPT_OF_UV" || true)
  unset PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV
}
clear_foreign_settings

NETWORK_HELP='If it was the network: behind a proxy set HTTPS_PROXY; a mirror of the package
registry is named to uv by UV_DEFAULT_INDEX and to pip by PIP_INDEX_URL.'

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1; }

is_uv() {
  local word major minor
  read -r word major <<<"$("$1" --version 2>/dev/null)" || return 1
  [ "$word" = uv ] || return 1
  IFS=. read -r major minor _ <<<"$major"
  [ "$major" -gt 0 ] || [ "$minor" -ge 9 ]  # pyproject.toml uses settings that 0.8 does not know
}

is_python39() {
  local code='import sys; sys.exit(sys.version_info[:2] != (3, 9) or sys.implementation.name != "cpython")'
  "$1" -c "$code" 2>/dev/null
}

# Whether a CPython 3.9 has the modules that can be absent where it was built without their libraries.
is_complete() {
  local module
  for module in bz2 ctypes lzma sqlite3 ssl zlib; do
    "$1" -c "import $module" 2>/dev/null && continue
    say "$1 has no module '$module', which this project needs: it was built without its library"
    return 1
  done
}

is_usable() { is_python39 "$1" && is_complete "$1"; }

# Prints the first Python 3.9 of this machine; PYTHON39, when set, is the only candidate.
local_python39() {
  local candidate
  if [ -n "${PYTHON39:-}" ]; then
    is_usable "$PYTHON39" && printf '%s\n' "$PYTHON39"
    return
  fi
  for candidate in python3.9 python3 "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.9.*/bin/python \
    /usr/bin/python3.9 /usr/local/bin/python3.9; do
    is_usable "$candidate" && printf '%s\n' "$candidate" && return
  done
  return 1
}

# Sets UV: the one named by UV, the machine's, or our own in .tools/uv.
find_uv() {
  local candidate
  for candidate in "${UV:-}" uv "${HOME:-}/.local/bin/uv" "$PWD/.tools/uv/bin/uv"; do
    if is_uv "$candidate"; then UV=$candidate; return; fi
  done
  install_uv
  UV=$PWD/.tools/uv/bin/uv
}

install_uv() {
  local python=python3
  "$python" -c '' 2>/dev/null || python=$(local_python39) ||
    die "no uv and no python3 here. Install one of them first, for example: sudo apt install python3-venv"
  say "No uv here: installing it into .tools/uv"
  "$python" -m venv --clear .tools/uv >&2 ||
    die "'$python -m venv' failed. On Debian and Ubuntu: sudo apt install python3-venv. Then run this again"
  .tools/uv/bin/python -m pip install -q --no-user --disable-pip-version-check --require-hashes -r infra/locks/uv.txt >&2 ||
    die "uv could not be downloaded; see above.
$NETWORK_HELP"
}

# Sets PYTHON for uv's -p: a path, or 3.9 when uv has just downloaded one. Call find_uv first.
find_python39() {
  if PYTHON=$(local_python39); then return; fi
  [ -z "${PYTHON39:-}" ] || die "PYTHON39=$PYTHON39 is not a CPython 3.9 with all its modules. Name
another, or unset PYTHON39"
  say "No Python 3.9 here: downloading one with uv"
  "$UV" python install --no-bin 3.9 ||
    die "no Python 3.9 here, and none could be downloaded; see above.
Install one (pyenv install 3.9, or your system's package), or name one: PYTHON39=/path/to/python3.9"
  PYTHON=3.9
}

# index_answers PYTHON URL: whether the package index at URL serves torch to this machine, in 5 s.
# Python's own client because it is surely here, and heeds the proxy variables as uv does.
index_answers() {
  local code='import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=3).read(1)'
  timeout 5 "$1" -c "$code" "$2/torch/" 2>/dev/null
}
