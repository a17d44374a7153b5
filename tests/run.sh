#!/usr/bin/env bash
# Install into a virtual environment, lint, check types, and run every test.
#
#     bash tests/run.sh [pytest arguments]
#
# CONSTRAINTS=tests/lowest.txt installs the oldest supported versions in place of the newest.
# PYTHON names a Python interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv-test${CONSTRAINTS:+-$(basename "$CONSTRAINTS" .txt)}
"${PYTHON:-python3}" -m venv "$venv"
export PATH="$PWD/$venv/bin:$PATH"
python -m pip install --quiet --disable-pip-version-check \
    ${CONSTRAINTS:+--constraint "$CONSTRAINTS"} -e ".[demo,test]"

if [ -z "${CONSTRAINTS:-}" ]; then
    ruff check .
    ruff format --check .
    mypy
fi
# Old versions warn about each other, so warnings are errors only with the newest versions. Two
# processes take 3 GB, mostly of TensorFlow. A file stays in one of them, with its fixtures.
python -m pytest -n 2 --dist loadfile ${CONSTRAINTS:+-W default} "$@"
