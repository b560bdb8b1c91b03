#!/usr/bin/env bash
# infra/triton.sh: makes .tools/triton, an environment with a real Triton to compare with (310 MB to download).
# It takes the system's own Python 3.11: Triton's Python backend loads libpython3.11.so, which other builds may lack.
set -euo pipefail
unset CDPATH
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. infra/tools.sh

[ ! -x .tools/triton/bin/python ] || [ ! -e .tools/triton/.ready ] || exit 0
[ -x /usr/bin/python3.11 ] || die "Triton needs the system's Python 3.11: apt-get install python3.11 libpython3.11"
find_uv
"$UV" venv -q --clear -p /usr/bin/python3.11 .tools/triton
"$UV" pip install -q --python .tools/triton/bin/python 'nvidia-pytriton==0.7.0' ||
  die "nvidia-pytriton could not be installed; see above.
$NETWORK_HELP"
touch .tools/triton/.ready
