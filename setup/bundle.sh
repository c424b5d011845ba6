#!/usr/bin/env bash
# Make one file with everything that an installation without internet needs: the commit, the libraries, the engine.
set -euo pipefail
called_in=$PWD
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd "$here"
. setup/common.sh

usage() {
    cat <<'TEXT'
usage: setup/bundle.sh make [FILE]  make a bundle (default: dist/mqi-communicator-VERSION.tar)
       setup/bundle.sh verify       in an unpacked bundle: verify the digest of each file
make needs a git checkout and a network. A bundle is specific to the Python version and processor architecture of the
machine that made it. ./deploy.sh of an unpacked bundle installs from it automatically. Exit: 0 success, 1 failure, 2
usage error.
TEXT
}

wrong() {
    printf 'error: %s\n' "$1" >&2
    usage >&2
    exit 2
}

absolute() { case "$1" in /*) printf '%s' "$1" ;; *) printf '%s/%s' "$called_in" "$1" ;; esac; }

wheels() {
    "$python" -m pip download --no-deps --only-binary=:all: --require-hashes --dest "$tree/bundle/wheels" -r "$1"
}

# Fill the folder bundle/ of "$tree"; the list of digests comes last.
fill() {
    mkdir -p "$tree/bundle/wheels"
    "$python" -c 'import sys, sysconfig; print("%d.%d" % sys.version_info[:2], sysconfig.get_platform())' >"$tree/bundle/made-for"
    "$python" "$tree/setup/lockfile.py" run >"$work/requirements.txt"
    quietly "the libraries of poetry.lock" wheels "$work/requirements.txt"
    quietly "pip and its build tools" wheels "$tree/setup/installer.txt"
    quietly "the dose engine MCsquare" "$python" -m mqi_communicator fetch-engine "$tree/bundle" --only-wheel
    (cd "$tree" && find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum) >"$work/sums"
    mv "$work/sums" "$tree/bundle/SHA256SUMS"
}

# Reproducible: the same commit and libraries give the same file.
pack() {
    tar --create --file "$1" --directory "$work" --sort=name --mode=u=rwX,go=rX --owner=0 --group=0 --numeric-owner \
        --mtime="@$(git log -1 --format=%ct)" "${tree##*/}"
}

make() {
    local file version
    { [ -e .git ] && git rev-parse -q --verify HEAD >/dev/null; } || fail "$here is not a git checkout; a bundle is made from a commit"
    [ -z "$(git status --porcelain)" ] || say "note: uncommitted changes (git status) are not part of the bundle"
    setup/prepare.sh run
    mkdir -p "$here/dist"
    lock_setup
    work=$(mktemp -d "$state/bundle.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    export PYTHONDONTWRITEBYTECODE=1
    version=$(git show HEAD:pyproject.toml | sed -n 's/^version = "\(.*\)"$/\1/p')
    tree="$work/mqi-communicator-$version"
    mkdir "$tree"
    git archive HEAD | tar -x -C "$tree"
    file=$(absolute "${1:-$here/dist/${tree##*/}.tar}")
    [ -d "$(dirname -- "$file")" ] || fail "the folder does not exist: $(dirname -- "$file")"
    fill
    quietly "the archive" pack "$work/made.tar"
    mv "$work/made.tar" "$file"
    say "$file ($(du -h "$file" | cut -f1))"
    say "commit $(git rev-parse --short HEAD), for Python $(sed 's/ / on /' "$tree/bundle/made-for")"
    say "sha256 $(sha256sum <"$file" | cut -d' ' -f1)"
}

# Check that every bundled file is unchanged and that none was added to the libraries.
verify() {
    local list=bundle/SHA256SUMS output added wrong
    has_bundle || fail "$here is not an unpacked bundle: it has no folder bundle/"
    say "set-up: verifying the digest of each file of the bundle"
    [ -r "$list" ] || fail "the bundle is incomplete: $list is missing. Unpack it again."
    ! grep -qvE '^[0-9a-f]{64}  [^/]' "$list" || fail "the bundle is incomplete: $list is damaged. Unpack it again."
    added=$(LC_ALL=C comm -13 <(cut -c 67- "$list" | LC_ALL=C sort) <(find bundle ! -type d ! -path "$list" | LC_ALL=C sort))
    output=$(LC_ALL=C sha256sum --check --strict --quiet "$list" 2>&1) && [ -z "$added" ] && return 0
    wrong=$(
        sed -n -e 's/: FAILED open or read$/ is missing or not readable/p' -e 's/: FAILED$/ was changed/p' <<<"$output"
        sed -n 's/.$/& was added/p' <<<"$added"
    )
    wrong=${wrong:-${output:-sha256sum failed}}
    fail "the bundle has changed since it was made ($(wc -l <<<"$wrong") files); nothing was installed. Unpack it again.
$(sed -n '1,10s/^/  /p' <<<"$wrong")"
}

case "${1:-}" in
-h | --help) usage ;;
make) [ "$#" -le 2 ] || wrong "make takes one file"; make "${2:-}" ;;
verify)
    [ "$#" -eq 1 ] || wrong "verify takes no arguments"
    verify
    say "all $(wc -l <bundle/SHA256SUMS) files are unchanged since the bundle was made"
    ;;
*) wrong "specify make or verify" ;;
esac
