#!/bin/sh
# start.sh [OPTION...]: what the serving images start. Takes the artifact from a store, or from a mounted folder, and
# becomes `python -m serve http` with OPTION... behind its own.
#   DEPTH_STORE, DEPTH_REFERENCE  the store, and an alias or identity in it; pulled into DEPTH_FOLDER
#   DEPTH_ARTIFACT                an artifact's folder, in place of both
#   DEPTH_HOST                    the address to answer on; 0.0.0.0 by default, because a container has its own
#   DEPTH_TOKEN                   the token that requests must carry; see `python -m serve http --help`
set -eu
if [ -n "${DEPTH_ARTIFACT:-}" ]; then
  artifact=$DEPTH_ARTIFACT
elif [ -n "${DEPTH_STORE:-}" ] && [ -n "${DEPTH_REFERENCE:-}" ]; then
  artifact=$(python -m serve pull "$DEPTH_REFERENCE" --store "$DEPTH_STORE" --out "${DEPTH_FOLDER:-/var/lib/depth}")
else
  echo "start.sh: no artifact is named: set DEPTH_STORE and DEPTH_REFERENCE, or DEPTH_ARTIFACT" >&2
  exit 2
fi
exec python -m serve http "$artifact" --host "${DEPTH_HOST:-0.0.0.0}" --port 8000 "$@"
