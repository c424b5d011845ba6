# Sourced by the set-up scripts: paths and messages. The caller sets `here`, the checkout.
# shellcheck shell=bash disable=SC2034,SC2154

unset PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV CONDA_PREFIX CDPATH
state="$here/.setup"
log="$state/setup.log"
python="$here/.venv/bin/python"
bundle="$here/bundle"

say() { printf '%s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

has_bundle() { [ -d "$bundle" ]; }

# One set-up per checkout at a time; the lock is released when this process and its children end.
lock_setup() {
    exec 9>"$state/lock"
    flock -n 9 || { say "set-up: waiting for another set-up of this checkout to finish"; flock 9; }
}

# quietly WHAT COMMAND...: print one line, write the output to the log, and show the end of the log on failure. The command
# inherits the set-up's lock, because it keeps running if this shell is killed.
quietly() {
    local what="$1" start=$SECONDS
    shift
    say "set-up: $what"
    printf '\n== %s: %s\n' "$(date -u +%FT%TZ)" "$what" >>"$log"
    if "$@" >>"$log" 2>&1 </dev/null; then
        printf '== done in %s s\n' "$((SECONDS - start))" >>"$log"
        return 0
    fi
    tail -n 30 "$log" >&2
    fail "$what failed (full log: $log)"
}
