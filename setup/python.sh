# Sourced by prepare.sh: find a Python that this project supports.
# shellcheck shell=bash disable=SC2154

# The supported versions, as an expression and as text; a bundle has the libraries for one of them.
fit='(3, 11) <= sys.version_info[:2] < (3, 13)'
fit_words="Python 3.11 or 3.12"
fit_help="Install one (Debian 12: apt-get install python3 python3-venv), or name one: MQI_PYTHON=/path/to/python3.12"
if [ -r "$bundle/made-for" ]; then
    read -r version platform <"$bundle/made-for"
    fit="('%d.%d' % sys.version_info[:2], sysconfig.get_platform()) == ('$version', '$platform')"
    fit_words="Python $version on $platform, which this bundle was made for"
    fit_help="Install it, or name it: MQI_PYTHON=/path/to/python$version, or make the bundle with the Python of this machine."
fi

# is_fit PYTHON: print the path of the actual interpreter if it is supported.
is_fit() {
    "$1" -c "import sys, sysconfig
print(getattr(sys, '_base_executable', None) or sys.executable) if $fit else sys.exit(1)" 2>/dev/null
}

# Print all candidates, best first; some may not run (such as a version switcher's shim).
python_candidates() {
    [ -z "${MQI_PYTHON:-}" ] || printf '%s\n' "$MQI_PYTHON"
    type -aP python3.12 python3.11 python3 || true
}

# Print the path of a supported Python, preferably one that can make a venv with pip.
find_python() {
    local name found first=""
    while IFS= read -r name; do
        found=$(is_fit "$name") || continue
        "$found" -c 'import ensurepip' 2>/dev/null && first=$found && break
        first=${first:-$found}
    done < <(python_candidates)
    [ -n "$first" ] && printf '%s\n' "$first"
}

explain_no_python() {
    local name show='import platform, sysconfig; print("Python", platform.python_version(), "on", sysconfig.get_platform())'
    say "MQI Communicator runs on $fit_words; none was found." >&2
    while IFS= read -r name; do
        say "  found $name: $("$name" -c "$show" 2>&1 | head -n 1)" >&2
    done < <(python_candidates)
    say "$fit_help" >&2
}
