#!/usr/bin/env bash
# Usage: tools/engines.sh PYTHON VENV [TESTS...]
# Tests with real servers of Milvus and Dask. Milvus has an environment of its
# own inside VENV. It listens on all interfaces, so the tests get a network of
# their own with nothing but the loopback.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1 venv=$(cd "$2" && pwd)
shift 2
milvus=$venv/milvus
if ! "$milvus/bin/python" -c 'import milvus' 2>/dev/null; then
  echo "Installing the Milvus server into $milvus"
  "$python" -m venv --clear "$milvus"
  "$milvus/bin/python" -m pip install --quiet --no-input --progress-bar off \
    'milvus==2.3.5' 'setuptools<80'
fi
export RSIR_MILVUS_SERVER=$milvus/bin/milvus-server CI=true
tests=("$venv/bin/python" -m pytest -m engine "${@:-tests/archive}")
alone=(unshare --map-root-user --net)
if "${alone[@]}" true 2>/dev/null; then
  exec "${alone[@]}" "$venv/bin/python" -c '
import fcntl, os, socket, struct, sys
with socket.socket() as one:  # SIOCSIFFLAGS, IFF_UP
    fcntl.ioctl(one, 0x8914, struct.pack("16sh", b"lo", 1))
os.execv(sys.argv[1], sys.argv[1:])' "${tests[@]}"
fi
echo "No network namespace here: until the tests end, the server's ports are open" >&2
exec "${tests[@]}"
