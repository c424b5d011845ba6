# Read by prepare.sh and bundle.sh: sets up from the folder bundle/ of an unpacked bundle. No registry is asked.
# shellcheck shell=bash disable=SC2034,SC2154

has_bundle() { [ -d "$bundle" ]; }

# Everything that was bundled, product and libraries, is still what it was; nothing was put beside the libraries.
verify_bundle() {
    local list=bundle/SHA256SUMS said added wrong
    say "set-up: proving each file of the bundle by its digest"
    [ -r "$here/$list" ] || fail "the bundle is not whole: $list is missing. Unpack it again."
    ! grep -qvE '^[0-9a-f]{64}  [^/]' "$here/$list" || fail "the bundle is not whole: $list is damaged. Unpack it again."
    added=$(cd "$here" && LC_ALL=C comm -13 <(cut -c 67- "$list" | LC_ALL=C sort) \
        <(find bundle ! -type d ! -path "$list" | LC_ALL=C sort))
    said=$(cd "$here" && LC_ALL=C sha256sum --check --strict --quiet "$list" 2>&1) && [ -z "$added" ] && return 0
    wrong=$(
        sed -n -e 's/: FAILED open or read$/ is missing or cannot be read/p' -e 's/: FAILED$/ was changed/p' <<<"$said"
        sed -n 's/.$/& was added/p' <<<"$added"
    )
    wrong=${wrong:-${said:-sha256sum did not succeed}}
    fail "the bundle is not what was made ($(wc -l <<<"$wrong") files); nothing was installed. Unpack it again.
$(sed -n '1,10s/^/  /p' <<<"$wrong")"
}

# pip as it came in the bundle, deaf to the settings of this machine: it takes files of the bundle and nothing else.
bundled_pip() {
    local pip=("$bundle"/wheels/pip-*.whl)
    (
        unset "${!PIP_@}"
        export PIP_CONFIG_FILE=/dev/null PYTHONDONTWRITEBYTECODE=1
        "$python" "${pip[0]}/pip" install --no-index --find-links "$bundle/wheels" --no-cache-dir "$@"
    )
}

# bundled_venv MODE PYTHON: .venv with the libraries of the bundle.
bundled_venv() {
    [ -d "$here/.venv" ] || quietly "a virtual environment with $("$2" -V)" "$2" -m venv --without-pip "$here/.venv"
    quietly "the project's libraries, from the bundle" \
        bundled_pip --no-deps --require-hashes -r "$bundle/requirements.txt"
    quietly "the project itself" bundled_pip --no-deps --editable "$here"
}

bundled_engine() { "$python" "$here/setup/fetch_engine.py" "$engine_home" --wheel "$bundle"/opentps_core-*.whl; }

# bundle_is_for PYTHON: the version and platform whose wheels its pip takes.
bundle_is_for() {
    "$1" -c 'import sys, sysconfig; print("%d.%d" % sys.version_info[:2], sysconfig.get_platform())'
}

# Narrows what python.sh looks for to what the bundle is for.
only_bundled_python() {
    local version platform
    read -r version platform <"$bundle/made-for"
    fit="('%d.%d' % sys.version_info[:2], sysconfig.get_platform()) == ('$version', '$platform')"
    fit_words="Python $version on $platform, which this bundle was made for"
    fit_help="Install that, or name it: MQI_PYTHON=/path/to/python$version, or make the bundle with the Python that is here."
}
