#!/usr/bin/env bash
# From nothing but Python to a training on two local nodes of Ray, of which one loses its worker on the
# way. The model has the same bits as that of one process. Takes about a minute after installation.
#
#     bash examples/cluster.sh [FOLDER]     # default: a temporary folder, removed at the end
#
# VENV names a virtual environment, with mfcli[ray,demo] installed, to use in place of .venv; PYTHON
# names a Python interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
venv=${VENV:-$root/.venv}

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "error: Python 3.11 or newer is required; choose one with PYTHON=..." >&2; exit 1; }
if [ -z "${VENV:-}" ]; then
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    echo "Installing mfcli into $venv (TensorFlow is large: this takes a minute or two)"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e "$root[ray,demo]"
fi
export PATH="$venv/bin:$PATH" RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=disabled

# Ray's sockets are in this folder, and their names must be short.
ray=$(mktemp -d /tmp/ray.XXXXXX)
export RAY_TMPDIR=$ray
folder=${1:-$ray/run}
nodes=() training=

fail() {
    echo "error: $*" >&2
    exit 1
}

# Print the processes of the two nodes: their command lines name the folder.
node_processes() { ps -eo pid=,args= | awk -v name="$ray/" 'index($0, name) && !/awk -v/ {print $1}'; }

# Print the workers that hold ratings and rows, which are child processes of the nodes.
workers() {
    ps -eo pid=,ppid=,args= | awk -v nodes=" $(node_processes | tr '\n' ' ')" \
        'index(nodes, " " $2 " ") && /ray::LaneHost/ {print $1}'
}

# `ray stop` would stop all nodes of this machine; this stops those of this script.
stop() {
    status=$?
    trap - EXIT INT TERM HUP
    for process in $training ${nodes[@]+"${nodes[@]}"}; do kill "$process" 2>/dev/null || true; done
    wait
    for process in $(node_processes); do kill -9 "$process" 2>/dev/null || true; done
    if [ $status -ne 0 ] && [ -f "$ray/nodes.log" ]; then tail -n 5 "$ray/nodes.log" >&2; fi
    rm -rf "$ray"
    echo "Ray is stopped, and $ray is removed."
    exit $status
}
trap stop EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Wait up to some seconds until a command succeeds, while a process runs.
wait_for() {
    local tries=$((10 * $1)) process=$2
    shift 2
    until "$@"; do
        [ $((tries -= 1)) -gt 0 ] && kill -0 "$process" 2>/dev/null || return 1
        sleep 0.1
    done
}

started() { [ "$(grep -c 'Ray runtime started' "$ray/nodes.log")" -eq ${#nodes[@]} ]; }
two_workers() {
    now=($(workers))
    [ ${#now[@]} -eq 2 ]
}
another_worker() { two_workers && [ "${now[0]}" != "$victim" ] && [ "${now[1]}" != "$victim" ]; }

start_node() {
    ray start --block --node-ip-address 127.0.0.1 --num-cpus 1 --object-store-memory 150000000 \
        --dashboard-agent-listen-port 0 "$@" >> "$ray/nodes.log" 2>&1 &
    nodes+=($!)
    wait_for 60 $! started || fail "a node did not start"
}

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

mkdir -p "$folder"
cd "$folder"
rm -rf one two    # of an earlier run
python "$root/examples/movielens.py" data.csv movies.csv
run mfcli split data.csv --quiet

# With the same blocks, any number of workers and threads trains to the same bits.
settings=(--k 10 --epochs 200 --lr 0.01 --reg 1e-4 --blocks 8 --quiet)
printf '\n== One process\n'
run mfcli train "${settings[@]}" --out one

printf '\n== Two nodes with one processor each\n'
read -r port clients < <(python - <<'END'
from socket import socket
found = [socket(), socket()]
for one in found:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in found))
END
)
start_node --head --port "$port" --ray-client-server-port "$clients" --include-dashboard false
start_node --address "127.0.0.1:$port"
cluster=(--cluster "127.0.0.1:$port" --workers 2 --checkpoint-every 20)
printf '\n$ mfcli train %s\n' "${settings[*]} --out two ${cluster[*]}"
mfcli train "${settings[@]}" --out two "${cluster[@]}" &
training=$!
wait_for 60 "$training" two_workers || fail "no workers were started"
wait_for 60 "$training" test -e two/checkpoint/state.npz || fail "no epoch was run"
two_workers || fail "a worker was lost before one was killed"
victim=${now[1]}
echo "kill -9 $victim, one of the workers ${now[*]}"
kill -9 "$victim"
wait_for 60 "$training" another_worker || fail "the worker was not replaced"
echo "The workers are now ${now[*]}"
wait "$training" || fail "the training failed"
training=

printf '\n== Both models\n'
python - <<'END'
import hashlib, pathlib, sys, zipfile

def digests(run):
    model = pathlib.Path(run, "model")
    with zipfile.ZipFile(model / "model.keras") as file:  # with the date in another part of it
        found = {"weights": file.read("model.weights.h5")}
    found |= {name: (model / name).read_bytes() for name in ("users.arrow", "items.arrow")}
    return {name: hashlib.sha256(part).hexdigest() for name, part in found.items()}

one, two = digests("one"), digests("two")
for name in one:
    print(f"{name:12} {one[name][:24]} of one process, {two[name][:24]} of two nodes")
sys.exit(one != two and "error: the models differ")
END
echo "The models have the same bits."
