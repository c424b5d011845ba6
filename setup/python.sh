# Read by prepare.sh: finds a Python that this project runs on.
# shellcheck shell=bash

fit='import sys; ok = (3, 11) <= sys.version_info[:2] < (3, 13)
print(getattr(sys, "_base_executable", None) or sys.executable) if ok else sys.exit(1)'

# Every candidate that really runs (a version switcher's shim may not), fit or not, best first.
python_candidates() {
    [ -z "${MQI_PYTHON:-}" ] || printf '%s\n' "$MQI_PYTHON"
    type -aP python3.12 python3.11 python3 || true
}

# Prints the path of a fit Python, one that can make a venv with pip if there is one.
find_python() {
    local name found first=""
    while IFS= read -r name; do
        found=$("$name" -c "$fit" 2>/dev/null) || continue
        if "$found" -c 'import ensurepip' 2>/dev/null; then
            printf '%s\n' "$found"
            return 0
        fi
        first=${first:-$found}
    done < <(python_candidates)
    [ -n "$first" ] && printf '%s\n' "$first"
}

explain_no_python() {
    local name
    say "MQI Communicator runs on Python 3.11 or 3.12; none was found." >&2
    while IFS= read -r name; do
        say "  found $name: $("$name" --version 2>&1 | head -n 1)" >&2
    done < <(python_candidates)
    say "Install one (Debian 12: apt-get install python3 python3-venv), or name one: MQI_PYTHON=/path/to/python3.12" >&2
}
