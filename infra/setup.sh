#!/usr/bin/env bash
# infra/setup.sh [cpu|inf1]: makes one lane's environment exactly as locked. What it needs it finds or gets.
# Environment: PYTHON39, UV: use this Python 3.9, this uv. TORCH_CPU_INDEX: where the CPU build of torch
# is (Linux x86-64, lane cpu); empty: take the package registry's build.
set -euo pipefail
unset CDPATH
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. infra/tools.sh

lane=${1:-cpu}
locks=infra/locks
case $lane in
  cpu) venv=.venv inputs=("$locks"/{cpu,torch-default,torch-cpu,build}.txt) ;;
  inf1) venv=.venv-inf1 inputs=("$locks"/{inf1,build}.txt) ;;
  *) say "usage: infra/setup.sh [cpu|inf1]"; exit 2 ;;
esac
stamp=$venv/.ready
wanted="$(cat "${inputs[@]}" | sha256) $PWD" # the editable install names this folder
cpu_index=${TORCH_CPU_INDEX-https://download.pytorch.org/whl/cpu}
quiet=-q
[ ! -t 2 ] || quiet= # uv's progress bars, for a person who waits

mkdir -p checkpoints input_images output_depth
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && is_python39 "$venv/bin/python"; then
  touch "$stamp" # newer than the locks: make need not call again
  echo "ready: $venv is as locked"
  exit
fi

# sync LOCK...: the environment holds these packages and no other, each checked against its hash.
sync() { "$UV" pip sync ${quiet:+"$quiet"} --compile-bytecode -p "$venv" --require-hashes "$@"; }

wants_cpu_build() {
  [ "$(uname -s) $(uname -m)" = "Linux x86_64" ] && [ -n "$cpu_index" ] &&
    index_answers "$venv/bin/python" "$cpu_index"
}

# The registry's torch for Linux x86-64 is a CUDA build of several GB. Elsewhere it is a CPU build.
install_cpu() {
  local unhashed
  if wants_cpu_build; then
    sync "$locks/cpu.txt" || return
    unhashed=$(grep -vE 'hash=|\\$' "$locks/torch-cpu.txt" || true)
    say "torch: the CPU build of $cpu_index${unhashed:+ (checked by version only: $unhashed)}"
    "$UV" pip install ${quiet:+"$quiet"} -p "$venv" --no-deps --default-index "$cpu_index" \
      -r "$locks/torch-cpu.txt" && return
    say "That failed although the index answers; see above."
  fi
  say "torch: the package registry's build (on Linux x86-64 with CUDA libraries, several GB)"
  sync "$locks/cpu.txt" "$locks/torch-default.txt"
}

install_inf1() { sync "$locks/inf1.txt"; }

find_uv
find_python39
rm -f "$stamp"
is_python39 "$venv/bin/python" || "$UV" venv -q --clear -p "$PYTHON" "$venv" ||
  die "could not make $venv with Python $PYTHON; see above"
"install_$lane" || die "the packages of lane $lane could not be installed; see above.
$NETWORK_HELP"
"$UV" pip install -q -p "$venv" --no-deps --build-constraints "$locks/build.txt" -e . ||
  die "this project could not be installed into $venv; see above.
$NETWORK_HELP"

code='import platform, cv2, numpy, torch, torchvision, depth_anything_v2
print(f"Python {platform.python_version()}, torch {torch.__version__}, numpy {numpy.__version__}")'
versions=$(cd / && "$OLDPWD/$venv/bin/python" -c "$code") ||
  die "$venv is installed but does not import; see above. Delete $venv and run this again. If that does
not help, another Python 3.9 may: PYTHON39=/path/to/python3.9 make setup"
if [ -f "$venv/.neuron" ]; then # of neuron.sh: its first word is the role
  read -r role _ <"$venv/.neuron"
  rm "$venv/.neuron"
  say "$venv has been renewed without AWS's packages. They come back with: make setup-neuron ROLE=$role"
fi
printf '%s\n' "$wanted" >"$stamp.part"
mv "$stamp.part" "$stamp"
echo "ready: $venv, $versions (${SECONDS} s)"
