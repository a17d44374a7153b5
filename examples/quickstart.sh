#!/usr/bin/env bash
# From nothing but Python to an accurate model of real ratings, in about a minute after installation.
#
#     bash examples/quickstart.sh [FOLDER]     # default: quickstart/ in this clone
#
# VENV names a virtual environment, with mfcli installed, to use in place of .venv; PYTHON names a
# Python interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
venv=${VENV:-$root/.venv}
folder=${1:-$root/quickstart}

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "error: Python 3.11 or newer is required; choose one with PYTHON=..." >&2; exit 1; }
if [ -z "${VENV:-}" ]; then
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    echo "Installing mfcli into $venv (TensorFlow is large: this takes a minute or two)"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e "$root[demo]"
fi

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

mkdir -p "$folder"
cd "$folder"
export PATH="$venv/bin:$PATH"
python "$root/examples/movielens.py" data.csv movies.csv
rm -f mfcli.toml    # of an earlier run; the first training uses the defaults

printf '\n== The default settings\n'
run mfcli split data.csv
run mfcli train --k 10 --epochs 15
run mfcli evaluate
run mfcli plot history.json

printf '\n== Settings for accurate predictions (trains for 10 to 20 seconds)\n'
run mfcli init
run mfcli train --quiet
run mfcli evaluate
run mfcli plot metrics.json
run mfcli report --titles movies.csv

printf '\n== A new day: a new user and a new item, then a model of all ratings\n'
printf '%s\n' userId,movieId,rating,timestamp 1000,364,5,1500000000 1000,595,4.5,1500000060 \
    1000,900000,4,1500000120 99,900000,5,1500000180 > today.csv
run mfcli update today.csv --quiet
run mfcli train --refit --keep-samples 20 --quiet --out whole
run mfcli predict --model whole --user 1000 --item 364 --item 900000 --interval 0.9 --probability 4

printf '\n== Settings for recommendations (trains for 10 to 20 seconds)\n'
run mfcli init --for ranking
run mfcli train --quiet --out ranking
run mfcli evaluate --model ranking
run mfcli recommend --model ranking --user 99 --n 1 --titles movies.csv --explain

cat <<END

== Files in $folder
  model/         the model of ratings; model/model.keras opens in Keras anywhere
  metrics.json   its errors on ratings it has not seen, beside two baselines
  metrics.png    where these errors are
  report.html    all of this on one page, to send to others
  history.png    the training curves of the first model
  whole/         the model of ratings, trained on all of them, with samples for intervals
  ranking/       the model of recommendations

== Next: source $venv/bin/activate, then in a folder with your own data.csv
  mfcli check data.csv
  mfcli split data.csv
  mfcli init             # or: mfcli init --for ranking
  mfcli train
  mfcli evaluate
END
