#!/usr/bin/env bash
# infra/int8.sh: adds to the CPU environment what precision int8 is made with, as locked. Serving needs none of it.
set -euo pipefail
unset CDPATH
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. infra/tools.sh

bash infra/setup.sh cpu >&2
find_uv
# Without dependencies: with these and the lane's own packages the lock is complete.
"$UV" pip install -q -p .venv --no-deps --compile-bytecode --require-hashes -r infra/locks/int8.txt ||
  die "the packages of infra/locks/int8.txt could not be installed; see above.
$NETWORK_HELP"
version=$(.venv/bin/python -W ignore -c 'import importlib.metadata as m, nncf; print(m.version("nncf"))' 2>/dev/null) ||
  die "nncf is installed but does not import: see .venv/bin/python -c 'import nncf'"
echo "ready: int8 in .venv, nncf $version (${SECONDS} s)"
