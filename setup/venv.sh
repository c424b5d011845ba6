# Sourced by prepare.sh: check and make the project's .venv.
# shellcheck shell=bash disable=SC2154

# Digest of what .venv is made from, with the path: a checkout that was moved or copied makes its own again.
venv_digest() {
    (cd "$here" && printf '%s\n' "$here" && cat pyproject.toml poetry.lock setup/poetry.txt) | sha256sum | cut -d' ' -f1
}

# The two kinds of environment: with the tools of the tests (which serves every mode), and without.
venv_kind() { case "$1" in test | long | slurm | browser) printf test ;; *) printf run ;; esac; }

venv_ready() {
    local marker
    [ -x "$python" ] || return 1
    for marker in "$state/venv-$(venv_kind "$1")" "$state/venv-test"; do
        [ -r "$marker" ] && [ "$(cat "$marker")" = "$(venv_digest)" ] && return 0
    done
    return 1
}

# Remove an incomplete .venv, or one that was copied from another checkout.
clear_broken_venv() {
    local made
    [ -e "$here/.venv" ] || return 0
    made=$(cat "$state/venv-place" 2>/dev/null || printf '%s' "$here")
    if "$python" -c 'import sys' 2>/dev/null && [ "$made" = "$here" ]; then
        is_fit "$python" >/dev/null || fail "$here/.venv uses $("$python" -V 2>&1), but $fit_words is required: remove it and start again"
        return 0
    fi
    [ -f "$here/.venv/pyvenv.cfg" ] && [ ! -L "$here/.venv" ] || fail "$here/.venv does not work and was not made by this script: remove it and start again"
    say "set-up: .venv is incomplete or belongs to another folder; making a new one"
    rm -rf "$here/.venv"
}

# make_venv MODE MAKER: `MAKER MODE PYTHON` fills it.
make_venv() {
    local mode="$1" maker="$2" base
    base=$(find_python) || { explain_no_python; exit 1; }
    clear_broken_venv
    rm -f "$state"/venv-run "$state"/venv-test
    printf '%s' "$here" >"$state/venv-place"
    "$maker" "$mode" "$base"
    "$python" -m compileall -q "$here/src" # like the libraries: the user who runs it may have no write permission here
    venv_digest >"$state/venv-$(venv_kind "$mode")"
}
