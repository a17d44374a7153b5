#!/usr/bin/env bash
# Install into a virtual environment of its own, lint, check the types, run every test.
#
#     bash tests/run.sh [pytest arguments]
#
# CONSTRAINTS=tests/lowest.txt installs the oldest supported versions instead of the newest.
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
# Old versions warn of one another; only the newest must not warn.
python -m pytest ${CONSTRAINTS:+-W default} "$@"
