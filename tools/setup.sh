#!/usr/bin/env bash
# Usage: tools/setup.sh PYTHON VENV book|all
# Creates VENV and installs into it what the pages need (`book`: the extra of
# that name, without PyTorch), or the package with all that its tests use
# (`all`). A stamp is written last and holds a checksum of what it stands for,
# so a half-done install is never taken as done and a finished one costs
# nothing. `all` serves as `book`, too.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1 venv=$2 set=$3 log=$2/install.log

[ "${INSTALL:-yes}" = no ] && exit 0
want="$(cat pyproject.toml constraints.txt tools/setup.sh \
  | cksum | tr ' ' '-') $PWD"
for stamp in "$venv/.rsir-$set" "$venv/.rsir-all"; do
  [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ] \
    && "$venv/bin/python" -c '' 2>/dev/null && exit 0
done

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "rsir needs Python 3.11 or newer; '$python' is" \
    "$("$python" --version 2>&1 || echo missing)." \
    "Name another: make PYTHON=python3.12 book" >&2
  exit 2
}
rm -f "$venv"/.rsir-*
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  "$python" -m venv --clear "$venv"
fi
if [ "$set" = book ]; then
  echo "Installing what the pages need into $venv (once)"
  "$venv/bin/python" -c 'import tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
print(*project["optional-dependencies"]["book"], sep="\n")' >"$venv/book.txt"
  what=(--requirement "$venv/book.txt")
else
  echo "Installing into $venv (once; torch alone can take some minutes)"
  what=(--editable '.[book,lab,test,fetch,archive,cluster,app]')
fi
start=$SECONDS
if ! "$venv/bin/python" -m pip install --no-input --progress-bar off \
    --constraint constraints.txt "${what[@]}" >"$log" 2>&1; then
  echo "The install failed; the end of $log:" >&2
  tail -n 30 "$log" >&2
  exit 1
fi
echo "$want" >"$venv/.part"
mv "$venv/.part" "$venv/.rsir-$set"
echo "Installed in $((SECONDS - start)) s"
