# Sourced by prepare.sh: make the project's .venv with pip. Each library has the version and a digest of poetry.lock. With a
# bundle they come from its wheels, else from the package index that pip is configured for on this machine.
# shellcheck shell=bash disable=SC2154

# Digest of what .venv is made from, with the path: a checkout that was moved or copied makes its own again.
venv_digest() { (cd "$here" && printf '%s\n' "$here" && cat pyproject.toml poetry.lock setup/installer.txt) | sha256sum | cut -d' ' -f1; }

# The two kinds of environment: with the tools of the tests (which serves every mode), and without.
venv_kind() { case "$1" in run | demo) printf run ;; *) printf test ;; esac; }

venv_ready() {
    local kind="" made=""
    [ -x "$python" ] && [ -r "$state/venv" ] || return 1
    read -r kind made <"$state/venv" || return 1
    case "$kind" in test | "$(venv_kind "$1")") [ "$made" = "$(venv_digest)" ] ;; *) return 1 ;; esac
}

# run_pip WORD...: the pip of .venv; with a bundle its pip, which uses no index and no configuration of this machine.
run_pip() (
    pip=("$python" -m pip) source=()
    if has_bundle; then
        wheel=("$bundle"/wheels/pip-*.whl)
        unset "${!PIP_@}"
        export PIP_CONFIG_FILE=/dev/null PYTHONDONTWRITEBYTECODE=1
        pip=("$python" "${wheel[0]}/pip") source=(--no-index --find-links "$bundle/wheels")
    fi
    "${pip[@]}" "$1" "${source[@]}" "${@:2}"
)

venv_works() {
    "$python" -c 'import sys' 2>/dev/null && { has_bundle || "$python" -m pip --version >/dev/null 2>&1; } &&
        [ "$(cat "$state/venv-place" 2>/dev/null || printf '%s' "$here")" = "$here" ]
}

# Remove an incomplete .venv, or one that was copied from another checkout.
clear_broken_venv() {
    [ -e "$here/.venv" ] || return 0
    if venv_works; then
        is_fit "$python" >/dev/null || fail "$here/.venv uses $("$python" -V 2>&1), but $fit_words is required: remove it and start again"
        return 0
    fi
    { [ -f "$here/.venv/pyvenv.cfg" ] && [ ! -L "$here/.venv" ]; } || fail "$here/.venv does not work and was not made by this script: remove it and start again"
    say "set-up: .venv is incomplete or belongs to another folder; making a new one"
    rm -rf "$here/.venv"
}

make_venv() {
    local base wanted="$state/requirements.txt" pip=() hashed=(--no-deps --require-hashes --only-binary=:all:)
    base=$(find_python) || { explain_no_python; exit 1; }
    clear_broken_venv
    rm -f "$state/venv"
    printf '%s' "$here" >"$state/venv-place"
    ! has_bundle || pip=(--without-pip)
    [ -d "$here/.venv" ] || quietly "a virtual environment with $("$base" -V)" "$base" -m venv "${pip[@]}" "$here/.venv"
    { "$base" setup/lockfile.py "$(venv_kind "$1")" && grep '^poetry-core==' setup/installer.txt; } >"$wanted"
    quietly "the libraries of poetry.lock" run_pip install "${hashed[@]}" -r "$wanted"
    quietly "the project itself" run_pip install --no-deps --no-build-isolation --editable "$here"
    "$python" -m compileall -q "$here/src" # like the libraries: the user who runs it may have no write permission here
    printf '%s %s\n' "$(venv_kind "$1")" "$(venv_digest)" >"$state/venv"
}
