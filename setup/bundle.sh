#!/usr/bin/env bash
# One file with all that an installation without internet needs: this checkout as committed, the libraries, the engine.
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
       setup/bundle.sh verify       in an unpacked bundle: is each file what it was?
make needs a git checkout and a network. The bundle is for the version of Python and the kind of processor it was made
with. Unpacked, its ./deploy.sh installs from it by itself. Exit: 0 done, 1 could not be done, 2 wrong use.
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

# What is committed, in "$tree", which is named as the bundle unpacks.
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

# The folder bundle/, its list of digests last.
fill() {
    mkdir -p "$tree/bundle/wheels"
    bundle_is_for "$pip_python" >"$tree/bundle/made-for"
    "$pip_python" "$tree/setup/requirements.py" >"$tree/bundle/requirements.txt"
    quietly "the libraries of poetry.lock" wheels "$tree/bundle/requirements.txt"
    quietly "what installs them" wheels "$tree/setup/installer.txt"
    quietly "the dose engine MCsquare" engine
    (cd "$tree" && find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum) >"$work/sums"
    mv "$work/sums" "$tree/bundle/SHA256SUMS"
}

# The same commit and the same libraries make the same file.
pack() {
    tar --create --file "$1" --directory "$work" --sort=name --mode=u=rwX,go=rX --owner=0 --group=0 --numeric-owner \
        --mtime="@$(git log -1 --format=%ct)" "${tree##*/}"
}

make() {
    local base file
    { [ -e .git ] && git rev-parse -q --verify HEAD >/dev/null; } || fail "$here is no git checkout: a bundle is made of a commit"
    [ -z "$(git status --porcelain)" ] || say "note: what is not committed (git status) does not go into the bundle"
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
    [ -d "$(dirname -- "$file")" ] || fail "there is no folder $(dirname -- "$file")"
    fill
    quietly "one file of it all" pack "$work/made.tar"
    mv "$work/made.tar" "$file"
    say "$file ($(du -h "$file" | cut -f1))"
    say "commit $(git rev-parse --short HEAD), for Python $(sed 's/ / on /' "$tree/bundle/made-for")"
    say "sha256 $(sha256sum <"$file" | cut -d' ' -f1)"
}

case "${1:-}" in
-h | --help) usage ;;
make) [ "$#" -le 2 ] || wrong "one file, not more"; make "${2:-}" ;;
verify)
    [ "$#" -eq 1 ] || wrong "verify takes nothing more"
    has_bundle || fail "$here is no unpacked bundle: it has no folder bundle/"
    verify_bundle
    say "all $(wc -l <"$bundle/SHA256SUMS") files are what they were when the bundle was made"
    ;;
*) wrong "make or verify" ;;
esac
