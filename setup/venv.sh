# Read by prepare.sh: the project's .venv: whether it is as it should be, and how it is made.
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

# An unfinished .venv, or one that was copied here from another checkout, is ours to remove.
clear_broken_venv() {
    local made
    [ -e "$here/.venv" ] || return 0
    made=$(cat "$state/venv-place" 2>/dev/null || printf '%s' "$here")
    if "$python" -c 'import sys' 2>/dev/null && [ "$made" = "$here" ]; then
        is_fit "$python" >/dev/null || fail "$here/.venv is of $("$python" -V 2>&1); $fit_words is needed: remove it and start again"
        return 0
    fi
    [ -f "$here/.venv/pyvenv.cfg" ] && [ ! -L "$here/.venv" ] || fail "$here/.venv does not work and is not ours: remove it and start again"
    say "set-up: .venv was unfinished or came from another place; making it anew"
    rm -rf "$here/.venv"
}

# make_venv MODE MAKER: MAKER MODE PYTHON fills it.
make_venv() {
    local mode="$1" maker="$2" base
    base=$(find_python) || { explain_no_python; exit 1; }
    clear_broken_venv
    rm -f "$state"/venv-run "$state"/venv-test
    printf '%s' "$here" >"$state/venv-place"
    "$maker" "$mode" "$base"
    "$python" -m compileall -q "$here/src" # like the libraries: whoever runs it may not be allowed to write here
    venv_digest >"$state/venv-$(venv_kind "$mode")"
}
