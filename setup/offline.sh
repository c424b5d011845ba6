# Sourced by prepare.sh and bundle.sh: set-up from the folder bundle/ of an unpacked bundle, without a package index.
# shellcheck shell=bash disable=SC2034,SC2154

has_bundle() { [ -d "$bundle" ]; }

# Check that every bundled file is unchanged and that none was added to the libraries.
verify_bundle() {
    local list=bundle/SHA256SUMS output added wrong
    say "set-up: verifying the digest of each file of the bundle"
    [ -r "$here/$list" ] || fail "the bundle is incomplete: $list is missing. Unpack it again."
    ! grep -qvE '^[0-9a-f]{64}  [^/]' "$here/$list" || fail "the bundle is incomplete: $list is damaged. Unpack it again."
    added=$(cd "$here" && LC_ALL=C comm -13 <(cut -c 67- "$list" | LC_ALL=C sort) \
        <(find bundle ! -type d ! -path "$list" | LC_ALL=C sort))
    output=$(cd "$here" && LC_ALL=C sha256sum --check --strict --quiet "$list" 2>&1) && [ -z "$added" ] && return 0
    wrong=$(
        sed -n -e 's/: FAILED open or read$/ is missing or not readable/p' -e 's/: FAILED$/ was changed/p' <<<"$output"
        sed -n 's/.$/& was added/p' <<<"$added"
    )
    wrong=${wrong:-${output:-sha256sum failed}}
    fail "the bundle has changed since it was made ($(wc -l <<<"$wrong") files); nothing was installed. Unpack it again.
$(sed -n '1,10s/^/  /p' <<<"$wrong")"
}

# Run the pip of the bundle, ignoring pip's configuration on this machine: it installs only files of the bundle.
bundled_pip() {
    local pip=("$bundle"/wheels/pip-*.whl)
    (
        unset "${!PIP_@}"
        export PIP_CONFIG_FILE=/dev/null PYTHONDONTWRITEBYTECODE=1
        "$python" "${pip[0]}/pip" install --no-index --find-links "$bundle/wheels" --no-cache-dir "$@"
    )
}

# bundled_venv MODE PYTHON: make .venv with the libraries of the bundle.
bundled_venv() {
    [ -d "$here/.venv" ] || quietly "a virtual environment with $("$2" -V)" "$2" -m venv --without-pip "$here/.venv"
    quietly "the project's libraries, from the bundle" \
        bundled_pip --no-deps --require-hashes -r "$bundle/requirements.txt"
    quietly "the project itself" bundled_pip --no-deps --editable "$here"
}

bundled_engine() { "$python" "$here/setup/fetch_engine.py" "$engine_home" --wheel "$bundle"/opentps_core-*.whl; }

# bundle_is_for PYTHON: print the version and platform whose wheels its pip accepts.
bundle_is_for() {
    "$1" -c 'import sys, sysconfig; print("%d.%d" % sys.version_info[:2], sysconfig.get_platform())'
}

# Restrict python.sh to the Python for which the bundle was made.
only_bundled_python() {
    local version platform
    read -r version platform <"$bundle/made-for"
    fit="('%d.%d' % sys.version_info[:2], sysconfig.get_platform()) == ('$version', '$platform')"
    fit_words="Python $version on $platform, which this bundle was made for"
    fit_help="Install it, or name it: MQI_PYTHON=/path/to/python$version, or make the bundle with the Python of this machine."
}
