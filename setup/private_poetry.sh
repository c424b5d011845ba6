#!/usr/bin/env bash
# private_poetry.sh PYTHON TARGET: install Poetry, at the versions of poetry.txt, into a separate venv.
# Debian packages pip and ensurepip separately from Python: without them, use any other pip of this machine, and without
# that a pip wheel from the package index of this machine's pip configuration.
set -euo pipefail
base="$1" target="$2"
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
packages=(poetry poetry-plugin-pypi-mirror -c "$here/poetry.txt")

if "$base" -c 'import ensurepip' 2>/dev/null; then
    "$base" -m venv "$target"
    "$target/bin/python" -m pip install "${packages[@]}"
    exit 0
fi

"$base" -m venv --without-pip "$target"
for other in "$base" $(type -aP python3 python3.12 python3.11 python3.13); do
    if "$other" -m pip --version 2>/dev/null; then
        "$other" -m pip --python "$target/bin/python" install pip "${packages[@]}"
        exit 0
    fi
done
wheel=$("$base" "$here/fetch_pip.py" "$target") || {
    echo "This Python has neither ensurepip nor pip. An administrator can install them: apt-get install -y python3-venv"
    exit 1
}
"$target/bin/python" "$wheel/pip" install pip "${packages[@]}"
