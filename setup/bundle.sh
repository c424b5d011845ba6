#!/usr/bin/env bash
# Make one file with everything that an installation without internet needs: the commit, the libraries, the engine.
set -euo pipefail
called_in=$PWD
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd "$here"
. setup/common.sh
. setup/python.sh
. setup/poetry.sh
. setup/offline.sh

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

project_version() {
    "$1" -c 'import sys, tomllib; print(tomllib.load(open(sys.argv[1], "rb"))["project"]["version"])' "$2/pyproject.toml"
}

# Unpack the commit to "$tree", which has the name of the unpacked bundle.
commit_only() {
    local version
    mkdir "$work/tree"
    git archive HEAD | tar -x -C "$work/tree"
    version=$(project_version "$pip_python" "$work/tree")
    tree="$work/mqi-communicator-$version"
    mv "$work/tree" "$tree"
}

wheels() {
    "$pip_python" -m pip download --no-deps --only-binary=:all: --require-hashes --dest "$tree/bundle/wheels" -r "$1"
}

engine() {
    "$pip_python" "$tree/setup/fetch_engine.py" "$tree/bundle" --only-wheel --pip "$pip_python"
}

# Fill the folder bundle/; the list of digests comes last.
fill() {
    mkdir -p "$tree/bundle/wheels"
    bundle_is_for "$pip_python" >"$tree/bundle/made-for"
    "$pip_python" "$tree/setup/requirements.py" >"$tree/bundle/requirements.txt"
    quietly "the libraries of poetry.lock" wheels "$tree/bundle/requirements.txt"
    quietly "pip and its build tools" wheels "$tree/setup/installer.txt"
    quietly "the dose engine MCsquare" engine
    (cd "$tree" && find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum) >"$work/sums"
    mv "$work/sums" "$tree/bundle/SHA256SUMS"
}

# Reproducible: the same commit and libraries give the same file.
pack() {
    tar --create --file "$1" --directory "$work" --sort=name --mode=u=rwX,go=rX --owner=0 --group=0 --numeric-owner \
        --mtime="@$(git log -1 --format=%ct)" "${tree##*/}"
}

make() {
    local base file
    { [ -e .git ] && git rev-parse -q --verify HEAD >/dev/null; } || fail "$here is not a git checkout; a bundle is made from a commit"
    [ -z "$(git status --porcelain)" ] || say "note: uncommitted changes (git status) are not part of the bundle"
    mkdir -p "$state" "$here/dist"
    lock_setup
    base=$(find_python) || { explain_no_python; exit 1; }
    make_poetry "$base"
    pip_python="$poetry_home/bin/python"
    work=$(mktemp -d "$state/bundle.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    export PYTHONDONTWRITEBYTECODE=1
    commit_only
    file=$(absolute "${1:-$here/dist/${tree##*/}.tar}")
    [ -d "$(dirname -- "$file")" ] || fail "the folder does not exist: $(dirname -- "$file")"
    fill
    quietly "the archive" pack "$work/made.tar"
    mv "$work/made.tar" "$file"
    say "$file ($(du -h "$file" | cut -f1))"
    say "commit $(git rev-parse --short HEAD), for Python $(sed 's/ / on /' "$tree/bundle/made-for")"
    say "sha256 $(sha256sum <"$file" | cut -d' ' -f1)"
}

case "${1:-}" in
-h | --help) usage ;;
make) [ "$#" -le 2 ] || wrong "make takes one file"; make "${2:-}" ;;
verify)
    [ "$#" -eq 1 ] || wrong "verify takes no arguments"
    has_bundle || fail "$here is not an unpacked bundle: it has no folder bundle/"
    verify_bundle
    say "all $(wc -l <"$bundle/SHA256SUMS") files are unchanged since the bundle was made"
    ;;
*) wrong "specify make or verify" ;;
esac
