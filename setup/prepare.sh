#!/usr/bin/env bash
# Prepare this checkout to run: .venv with the libraries of poetry.lock and, for the demo and the tests, system programs and
# the dose engine. Everything is stored in .venv and .setup; a repeated run takes almost no time.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd "$here"
. setup/common.sh
. setup/python.sh
. setup/packages.sh
. setup/venv.sh

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

engine_ready() { [ "$mode" = run ] || [ -e "$state/mcsquare/MCsquare_linux" ]; }
axe_ready() { [ "$mode" != browser ] || [ -e "$state/axe/axe.min.js" ]; }

check() {
    local ready=0
    [ "${#missing[@]}" -eq 0 ] || { say "missing programs; they are in the Debian packages: ${missing[*]}"; ready=1; }
    venv_ready "$mode" || { say "missing: a virtual environment .venv that matches poetry.lock"; ready=1; }
    engine_ready || { say "missing: the dose engine in .setup/mcsquare"; ready=1; }
    axe_ready || { say "missing: axe-core in .setup/axe"; ready=1; }
    [ "$ready" -ne 0 ] || say "everything is ready ($mode)"
    return "$ready"
}

need_packages() {
    [ "${#missing[@]}" -gt 0 ] || return 0
    [ "$(id -u)" -ne 0 ] || [ "$mode$only" = run ] || { install_packages "${missing[@]}"; return 0; }
    say "Missing on this machine: ${missing[*]}. An administrator can install them with this command:" >&2
    say "  apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
}

prepare() {
    local engine=(-m mqi_communicator fetch-engine "$state/mcsquare")
    if venv_ready "$mode" && engine_ready && axe_ready; then return 0; fi
    { mkdir -p "$state" && [ -w "$state" ]; } 2>/dev/null || fail "this checkout is not set up and $here is not writable: run setup/prepare.sh $mode as its owner"
    lock_setup
    if has_bundle; then
        setup/bundle.sh verify
        engine+=(--wheel "$bundle"/opentps_core-*.whl)
    fi
    venv_ready "$mode" || make_venv "$mode"
    engine_ready || quietly "the dose engine MCsquare" "$python" "${engine[@]}"
    axe_ready || quietly "axe-core" "$python" tests/browser/fetch_axe.py "$state/axe"
}

if has_bundle && [ "$(venv_kind "$mode")" = test ] && ! venv_ready "$mode"; then
    fail "a bundle contains the libraries for production and the demo, not the tools of the tests"
fi
mapfile -t missing < <(missing_packages "$mode")
case "$only" in
--check) check ;;
--system) need_packages; say "no Debian package is missing ($mode)" ;;
*) need_packages; prepare ;;
esac
