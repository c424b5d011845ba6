# Sourced by prepare.sh: a private Poetry and the project's libraries. The user's Python is not changed.
# shellcheck shell=bash disable=SC2154

poetry_digest() { sha256sum <"$here/setup/poetry.txt" | cut -d' ' -f1; }

make_poetry() {
    local base="$1"
    if [ -x "$poetry_home/bin/python" ] && [ "$(cat "$state/poetry-ready" 2>/dev/null)" = "$(poetry_digest)$here" ]; then
        return 0
    fi
    rm -rf "$poetry_home" "$state/poetry-ready"
    quietly "a private Poetry" bash "$here/setup/private_poetry.sh" "$base" "$poetry_home"
    printf '%s' "$(poetry_digest)$here" >"$state/poetry-ready"
}

poetry() { (cd "$here" && "$poetry_home/bin/python" -m poetry --no-ansi --no-interaction "$@"); }

# poetry_venv MODE PYTHON: make .venv with the libraries of poetry.lock, compiled.
poetry_venv() {
    local mode="$1" base="$2" groups=()
    make_poetry "$base"
    # Poetry uses another API of the package index than pip; this mirror setting makes it use pip's.
    eval "$("$poetry_home/bin/python" "$here/setup/pip_settings.py")"
    export POETRY_VIRTUALENVS_IN_PROJECT=true POETRY_VIRTUALENVS_CREATE=true POETRY_KEYRING_ENABLED=false
    [ -w "${HOME:-/nonexistent}" ] || export POETRY_CACHE_DIR="$state/cache" HOME="$state"
    [ -d "$here/.venv" ] || quietly "a virtual environment with $("$base" -V)" poetry env use "$base"
    [ "$(venv_kind "$mode")" = test ] || groups=(--without dev)
    quietly "the project's libraries (poetry.lock)" poetry install --compile "${groups[@]}"
}
