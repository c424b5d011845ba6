# Read by the set-up scripts: where things are, how to say things. `here` is the checkout, set by the reader.
# shellcheck shell=bash disable=SC2034,SC2154

unset PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV CONDA_PREFIX CDPATH
state="$here/.setup"
log="$state/setup.log"
python="$here/.venv/bin/python"
poetry_home="$state/poetry"
engine_home="$state/mcsquare"
bundle="$here/bundle"

say() { printf '%s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# One set-up of a checkout at a time; the lock ends with this process and its children.
lock_setup() {
    exec 9>"$state/lock"
    flock -n 9 || { say "set-up: waiting for another set-up of this checkout to end"; flock 9; }
}

# quietly WHAT COMMAND...: one line on the screen, everything else in the log; the log's end is shown on failure.
# The command holds the set-up's lock too: should this shell be killed, the command is still at work.
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
    fail "$what did not succeed (the whole log: $log)"
}
