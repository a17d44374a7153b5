#!/usr/bin/env bash
# From nothing but Python to a trained, evaluated and plotted model on real ratings.
#
#     bash examples/quickstart.sh [FOLDER]     # default: quickstart/ in this clone
#
# VENV names another virtual environment than .venv.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
venv=${VENV:-$root/.venv}
folder=${1:-$root/quickstart}

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "error: Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1; }
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "installing mfcli into $venv (TensorFlow is large: a minute or two)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e "$root[demo]"

mkdir -p "$folder"
cd "$folder"
export PATH="$venv/bin:$PATH"
python "$root/examples/movielens.py" data.csv movies.csv
mfcli split data.csv
mfcli train --k 10 --epochs 15
mfcli evaluate
mfcli plot history.json
mfcli recommend --user 42 --n 5 --min-count 20 --titles movies.csv

cat <<END

In $folder:
  model/         the model; model/model.keras opens in Keras anywhere
  metrics.json   its errors on ratings it has not seen, beside two baselines
  history.png    the training curves

Next: source $venv/bin/activate, then in a folder with your own data.csv
  mfcli split data.csv --valid 0.1
  mfcli train --reg 1e-4 --epochs 20
  mfcli evaluate
  mfcli --help
END
