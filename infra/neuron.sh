#!/usr/bin/env bash
# infra/neuron.sh compile|serve: adds AWS's packages for Inf1 to .venv-inf1, and tries what can be tried here.
# Environment: NEURON_INDEX: the package index that has them. PYTHON39, UV: as for infra/setup.sh.
set -euo pipefail
unset CDPATH
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. infra/tools.sh

role=${1:-}
packages=(torch-neuron==1.13.1.2.11.13.0)
modules=(torch_neuron pkg_resources torch.utils.cpp_extension)
case $role in
  serve) unwanted=(neuron-cc tensorflow) ;;
  compile) unwanted=() packages+=('neuron-cc[tensorflow]==1.24.0.0') modules+=(tensorflow) ;;
  *) say "usage: infra/neuron.sh compile|serve"; exit 2 ;;
esac
venv=.venv-inf1
stamp=$venv/.neuron # setup.sh removes it when it renews the environment
index=${NEURON_INDEX:-https://pip.repos.neuron.amazonaws.com}

# What the environment holds counts too: a package that somebody changed by hand is put right.
state() { echo "$role $({ cat infra/neuron.sh infra/locks/neuron.txt; "$UV" pip freeze -q -p "$venv"; } | sha256)"; }

bash infra/setup.sh inf1 >&2
find_uv
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(state)" ]; then
  echo "ready: $venv has AWS's packages, to $role"
  exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

give_up() { # MESSAGE: $work/said has the output of what failed
  ! grep -q 'WRONG PACKAGE' "$work/said" ||
    die "a package above is a placeholder: the public registry has packages of AWS's names that only say so.
$index must be AWS's index, or a mirror of it. NEURON_INDEX=URL names another"
  die "$1"
}

add() { # WORD...: for uv pip install. Its output goes to a file too, so it draws no progress bars.
  "$UV" pip install -p "$venv" "$@" 2>&1 | tee "$work/said" >&2 ||
    give_up "AWS's packages could not be installed; see above. They are made for x86-64 Linux, and come from
$index; another index: NEURON_INDEX=URL
$NETWORK_HELP"
}

try() { # WORD...: a command, from a folder where nothing hides a package
  (cd / && "$@") >"$work/said" 2>&1 && return
  tail -n 5 "$work/said" >&2
  give_up "this fails although AWS's packages are installed: $*
Delete $venv and run this again"
}

rm -f "$stamp"
# AWS's own come from AWS's index and from nowhere else: no other index can put a package in their place. Wheels
# only: installing them runs no code of theirs.
(
  unset UV_INDEX UV_EXTRA_INDEX_URL UV_FIND_LINKS
  add --no-config --no-deps --only-binary :all: --reinstall --default-index "$index" "${packages[@]}"
)
"$UV" pip uninstall -q -p "$venv" tensorflow-cpu torch-neuronx ${unwanted[@]+"${unwanted[@]}"} 2>/dev/null ||
  die "what does not go with torch-neuron could not be removed. Delete $venv and run this again"
add --no-deps --require-hashes -r infra/locks/neuron.txt
# The rest: what AWS's index has comes from there, whatever else has the same name. The lane's torch stays.
grep -ohE '^(torch|torchvision|setuptools)==[^ ]+' infra/locks/inf1.txt >"$work/kept.txt"
grep -ohE '^[a-z]+==[^ ]+' infra/locks/neuron.txt >>"$work/kept.txt"
UV_INDEX="$index${UV_INDEX:+ $UV_INDEX}" add --index-strategy first-index "${packages[@]}" -r "$work/kept.txt"

python=$PWD/$venv/bin/python
for module in "${modules[@]}"; do
  try "$python" -W ignore -c "import $module"
done
[ "$role" = serve ] || try "$PWD/$venv/bin/neuron-cc" --help
names=("${packages[@]%%[[=]*}")
code='import importlib.metadata as m, sys; print(*(f"{name} {m.version(name)}" for name in sys.argv[1:]), sep=", ")'
versions=$("$python" -c "$code" "${names[@]}" numpy protobuf)
state >"$stamp.part"
mv "$stamp.part" "$stamp"
say "Not tried: the driver, the chip, compiling and loading a program. On the Inf1 instance, next:
  $venv/bin/python -m serve doctor"
echo "ready: $venv to $role, $versions (${SECONDS} s)"
