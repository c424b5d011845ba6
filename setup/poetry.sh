# Read by prepare.sh: a private Poetry, and with it the project's .venv. The user's Python is never touched.
# shellcheck shell=bash disable=SC2154

# What the environment in .venv was made from; a checkout that was moved or copied makes its own again.
venv_digest() {
    (cd "$here" && printf '%s\n' "$here" && cat pyproject.toml poetry.lock setup/poetry.txt) | sha256sum | cut -d' ' -f1
}

# The environment's two kinds: with the tools of the tests (which then serves everything), and without.
venv_kind() { case "$1" in test | slurm | browser) printf test ;; *) printf run ;; esac; }

venv_ready() {
    local marker
    [ -x "$python" ] || return 1
    for marker in "$state/venv-$(venv_kind "$1")" "$state/venv-test"; do
        [ -r "$marker" ] && [ "$(cat "$marker")" = "$(venv_digest)" ] && return 0
    done
    return 1
}

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

# An unfinished .venv, or one that was copied here from another checkout, is ours to remove.
clear_broken_venv() {
    local made
    [ -e "$here/.venv" ] || return 0
    made=$(cat "$state/venv-place" 2>/dev/null || printf '%s' "$here")
    if "$python" -c 'import sys' 2>/dev/null && [ "$made" = "$here" ]; then
        "$python" -c "$fit" >/dev/null 2>&1 || fail "$here/.venv is of Python $("$python" -V 2>&1 | cut -d' ' -f2); 3.11 or 3.12 is needed: remove it and start again"
        return 0
    fi
    [ -f "$here/.venv/pyvenv.cfg" ] && [ ! -L "$here/.venv" ] || fail "$here/.venv does not work and is not ours: remove it and start again"
    say "set-up: .venv was unfinished or came from another place; making it anew"
    rm -rf "$here/.venv"
}

make_venv() {
    local mode="$1" base groups=()
    base=$(find_python) || { explain_no_python; exit 1; }
    make_poetry "$base"
    clear_broken_venv
    rm -f "$state"/venv-run "$state"/venv-test
    printf '%s' "$here" >"$state/venv-place"
    # Poetry asks the registry otherwise than pip does; where only pip's way is served, this mirror setting helps.
    eval "$("$poetry_home/bin/python" "$here/setup/pip_settings.py")"
    export POETRY_VIRTUALENVS_IN_PROJECT=true POETRY_VIRTUALENVS_CREATE=true POETRY_KEYRING_ENABLED=false
    [ -w "${HOME:-/nonexistent}" ] || export POETRY_CACHE_DIR="$state/cache" HOME="$state"
    [ -d "$here/.venv" ] || quietly "a virtual environment with $("$base" -V)" poetry env use "$base"
    [ "$(venv_kind "$mode")" = test ] || groups=(--without dev)
    quietly "the project's libraries (poetry.lock)" poetry install "${groups[@]}"
    venv_digest >"$state/venv-$(venv_kind "$mode")"
}
