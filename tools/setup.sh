#!/usr/bin/env bash
# Usage: tools/setup.sh PYTHON VENV
# Creates VENV and installs the book, its tests and the package into it.
# The stamp is written last and holds a checksum of what it stands for, so
# a half-done install is never taken as done and a finished one costs
# nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1 venv=$2 stamp=$2/.rsir-ready log=$2/install.log

[ "${INSTALL:-yes}" = no ] && exit 0
want="$(cat pyproject.toml constraints.txt tools/setup.sh \
  | cksum | tr ' ' '-') $PWD"
[ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ] \
  && "$venv/bin/python" -c '' 2>/dev/null && exit 0

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "rsir needs Python 3.11 or newer; '$python' is" \
    "$("$python" --version 2>&1 || echo missing)." \
    "Name another: make PYTHON=python3.12 book" >&2
  exit 2
}
rm -f "$stamp"
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  "$python" -m venv --clear "$venv"
fi
echo "Installing into $venv (once; torch alone can take some minutes)"
start=$SECONDS
if ! "$venv/bin/python" -m pip install --no-input --progress-bar off \
    --constraint constraints.txt --editable '.[book,test,fetch,archive,cluster,app]' \
    >"$log" 2>&1; then
  echo "The install failed; the end of $log:" >&2
  tail -n 30 "$log" >&2
  exit 1
fi
echo "$want" >"$stamp.part"
mv "$stamp.part" "$stamp"
echo "Installed in $((SECONDS - start)) s"
