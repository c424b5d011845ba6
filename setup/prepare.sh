#!/usr/bin/env bash
# Prepare this checkout to run: .venv (by a private Poetry, or from the folder bundle/ if there is one) and, for the demo
# and the tests, system programs and the dose engine. Everything is stored in .venv and .setup; a repeated run takes
# almost no time.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd "$here"
. setup/common.sh
. setup/python.sh
. setup/packages.sh
. setup/venv.sh
. setup/poetry.sh
. setup/offline.sh

usage() {
    cat <<'TEXT'
usage: setup/prepare.sh [run | demo | test | long | slurm | browser] [--system | --check]
  run       for production; calls no package manager (deploy.sh)
  demo      also for the demo: sshd, rsync, the dose engine (deploy.sh --demo)
  test      also for the tests (test.sh); the default
  long      also plastimatch, with which DVHs are compared (test.sh --long)
  slurm     also for the tests with a real Slurm (test.sh --slurm)
  browser   also for the tests in a real browser (test.sh --browser)
  --system  only install missing Debian packages, as root; write nothing into the checkout
  --check   change nothing; exit 0 if everything is ready, else list what is missing and exit 1
TEXT
}

mode=test only=""
for word in "$@"; do
    case "$word" in
    run | demo | test | long | slurm | browser) mode="$word" ;;
    --system | --check) only="$word" ;;
    -h | --help) usage; exit 0 ;;
    *) printf 'unknown argument: %s\n' "$word" >&2; usage >&2; exit 2 ;;
    esac
done
case "$mode" in
run) needs=("${run_needs[@]}") ;;
demo) needs=("${demo_needs[@]}") ;;
test) needs=("${test_needs[@]}") ;;
long) needs=("${long_needs[@]}") ;;
slurm) needs=("${slurm_needs[@]}") ;;
browser) needs=("${browser_needs[@]}") ;;
esac

engine_ready() { [ "$mode" = run ] || [ -e "$engine_home/MCsquare_linux" ]; }
axe_ready() { [ "$mode" != browser ] || [ -e "$state/axe/axe.min.js" ]; }

check() {
    local missing ready=0
    missing=$(missing_packages "${needs[@]}" | tr '\n' ' ')
    [ -z "$missing" ] || { say "missing programs; they are in the Debian packages: $missing"; ready=1; }
    venv_ready "$mode" || { say "missing: a virtual environment .venv that matches poetry.lock"; ready=1; }
    engine_ready || { say "missing: the dose engine in .setup/mcsquare"; ready=1; }
    axe_ready || { say "missing: axe-core in .setup/axe"; ready=1; }
    [ "$ready" -ne 0 ] || say "everything is ready ($mode)"
    return "$ready"
}

system() {
    local missing
    mapfile -t missing < <(missing_packages "${needs[@]}")
    [ "${#missing[@]}" -gt 0 ] || { say "no Debian package is missing ($mode)"; return 0; }
    [ "$(id -u)" -eq 0 ] || fail "Debian packages are missing (${missing[*]}); run as root: setup/prepare.sh $mode --system"
    install_packages "${missing[@]}"
}

prepare() {
    if has_bundle && [ "$(venv_kind "$mode")" = test ]; then
        venv_ready "$mode" || fail "a bundle contains the libraries for production and the demo, not the tools of the tests"
    fi
    need_packages "$mode" "${needs[@]}"
    if venv_ready "$mode" && engine_ready && axe_ready; then return 0; fi
    mkdir -p "$state" 2>/dev/null && [ -w "$state" ] || fail "this checkout is not set up and $here is not writable: run setup/prepare.sh $mode as its owner"
    lock_setup
    if has_bundle; then from_bundle; else from_registries; fi
}

from_registries() {
    venv_ready "$mode" || make_venv "$mode" poetry_venv
    engine_ready || quietly "the dose engine MCsquare" \
        "$poetry_home/bin/python" setup/fetch_engine.py "$engine_home" --pip "$poetry_home/bin/python"
    axe_ready || quietly "axe-core" "$poetry_home/bin/python" setup/fetch_axe.py "$state/axe"
}

from_bundle() {
    verify_bundle
    only_bundled_python
    venv_ready "$mode" || make_venv "$mode" bundled_venv
    engine_ready || quietly "the dose engine MCsquare, from the bundle" bundled_engine
}

case "$only" in
--check) check ;;
--system) system ;;
*) prepare ;;
esac
