#!/usr/bin/env bash
# Set up a bare machine (Debian with Python 3.11 or 3.12 and git) and run the checks.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
cd "$here"

usage() {
    cat <<'TEXT'
usage: ./test.sh [SUITE]... [-- PYTEST ARGUMENT...]
  (no suite)   lint, formatting, types, import rules, the documents as pages, and the tests; about eight minutes on two cores
  --quick      lint, formatting, types, import rules and the unit tests; about three minutes on two cores
  --long       long scenarios with the whole program: GPU hosts, fleets of cases, moqui, restores, stops, reports, an outage,
               upgrades, a kill at each step, every bad input, every wrong dose; and tests of which the others try some
  --slurm      tests against a real Slurm on this machine
  --faults     random faults against the whole program: [--minutes N] (default 5) [--seed S] (default: random, printed)
  --browser    the dashboard in a real browser
  --bench      measurements (bench/run.py)
  --wheel      build the wheel and the source distribution into dist/, and run the demo from the wheel
  --audit      known vulnerabilities of the libraries (pip-audit); needs a network
  --all        all of these but --quick and --wheel, which are part of others, and --audit
Arguments after -- go to pytest (-k WORD: tests with this word in their names); for --faults they are --rounds N,
--at-once N, --hosts N, --backend slurm, --only FAULT, --kill POINT, --json FILE, --keep DIR, --outage CASES, --write and
--list (docs/reliability.md). Exit: 0 all passed, 1 something failed, 2 usage
error or a suite that does not exist.
TEXT
}

wrong() {
    printf 'error: %s\n' "$1" >&2
    usage >&2
    exit 2
}

number() { [[ "${2:-}" =~ ^[0-9]+$ ]] || wrong "$1 takes a whole number"; }

suites=() all="" minutes="" seed="" arguments=()
while [ "$#" -gt 0 ]; do
    case "$1" in
    -h | --help) usage; exit 0 ;;
    --quick | --long | --slurm | --faults | --browser | --bench | --audit | --wheel) suites+=("${1#--}") ;;
    --all) all=yes; suites=(checks long slurm faults browser bench) ;;
    --minutes) number "$@"; minutes="$2"; shift ;;
    --seed) number "$@"; seed="$2"; shift ;;
    --) shift; arguments=("$@"); break ;;
    *) wrong "unknown argument $1 (arguments for pytest go after --)" ;;
    esac
    shift
done
[ "${#suites[@]}" -gt 0 ] || suites=(checks)
if [ -n "$minutes$seed" ] && [[ " ${suites[*]} " != *" faults "* ]]; then wrong "--minutes and --seed require --faults"; fi

exists() { [ "$1" = checks ] || [ "$1" = quick ] || [ "$1" = audit ] || [ "$1" = wheel ] || [ "$1" = long ] || [ -d "tests/$1" ] || { [ "$1" = bench ] && [ -f bench/run.py ]; }; }
absent=()
for suite in "${suites[@]}"; do exists "$suite" || absent+=("--$suite"); done
if [ "${#absent[@]}" -gt 0 ] && [ -z "$all" ]; then
    printf 'error: this suite does not exist: %s\n' "${absent[*]}" >&2
    exit 2
fi

setup/prepare.sh test
case " ${suites[*]} " in *" long "*)
    setup/prepare.sh long || printf 'without plastimatch: the test that compares DVHs with it is skipped\n'
    ;;
esac
case " ${suites[*]} " in *" slurm "* | *" bench "*) setup/prepare.sh slurm ;; esac
case " ${suites[*]} " in *" browser "*) setup/prepare.sh browser ;; esac
# All workers and all programs that tests start read the same modules: each is compiled once, not at each start.
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONDONTWRITEBYTECODE
python="$here/.venv/bin/python"
failed=()
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

# stage NAME COMMAND...: print one line if it passes, else its output; later stages run in any case.
stage() {
    local name="$1" start=$SECONDS output
    shift
    if output=$("$@" 2>&1); then
        printf 'ok      %-28s %3d s\n' "$name" "$((SECONDS - start))"
    else
        printf '%s\nFAILED  %-28s %3d s\n' "$output" "$name" "$((SECONDS - start))"
        failed+=("$name")
    fi
}

# shown NAME COMMAND...: the same, with its output shown while it runs.
shown() {
    local name="$1"
    shift
    printf '        %s ...\n' "$name"
    "$@" || failed+=("$name")
}

import_rules() { "$python" -c 'import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())'; }

# workers N PYTEST ARGUMENT...: N test processes at once, each with whole files.
workers() { "$python" -m pytest -q -n "$1" --dist loadfile --no-loadscope-reorder "${@:2}"; }

others=(--ignore=tests/slurm --ignore=tests/faults --ignore=tests/browser)  # suites of their own

types() {
    local typed=(src tests)
    compgen -G 'bench/*.py' >/dev/null && typed+=(bench)
    stage "mypy" "$python" -m mypy "${typed[@]}"
    [ "${#failed[@]}" -eq 0 ]
}

# source_checks PYTEST ARGUMENT...: mypy uses one core, all other checks of the source the other. Collecting the tests
# compiles them, which each worker would do for itself.
source_checks() {
    local typing
    types &
    typing=$!
    stage "ruff check" "$python" -m ruff check -q .
    stage "ruff format --check" "$python" -m ruff format -q --check .
    stage "lint-imports" import_rules
    [ "$1" = tests/unit ] || stage "documents" "$python" -m sphinx -q -E -W --keep-going -b html docs .setup/docs
    stage "collecting the tests" "$python" -m pytest -q --collect-only "$@"
    wait "$typing" || failed+=("mypy")
}

quick() {
    source_checks tests/unit
    shown "unit tests" workers 2 -m "not thorough and not long" tests/unit "${arguments[@]}"
}

checks() {
    source_checks "${others[@]}"
    # These tests wait for a good part of their time: five workers keep two cores busy.
    shown "pytest" workers 5 -m "not long" "${others[@]}" "${arguments[@]}"
}

long() {
    shown "long" workers 2 -m long "${others[@]}" "${arguments[@]}"
    [ "${#arguments[@]}" -gt 0 ] || MQI_EXAMPLES=new shown "properties, new examples" workers 2 -m "hypothesis and not long" tests/unit tests/integration
}

faults() {
    local first="${seed:-$RANDOM}"
    printf '        faults: %s minutes, --seed %s\n' "${minutes:-5}" "$first"
    shown "faults" "$python" -m tests.faults --minutes "${minutes:-5}" --seed "$first" "${arguments[@]}"
}

for suite in "${suites[@]}"; do
    exists "$suite" || continue
    case "$suite" in
    checks) checks ;;
    quick) quick ;;
    faults) faults ;;
    long) long ;;
    wheel)
        stage "wheel and source in dist/" .ci/build
        shown "wheel" "$python" -m pytest -q tests/e2e/long/test_wheel.py "${arguments[@]}"
        ;;
    audit) shown "audit" "$python" .ci/audit.py ;;
    bench) shown "bench" "$python" bench/run.py ;;
    *) shown "$suite" "$python" -m pytest -q "tests/$suite" "${arguments[@]}" ;;
    esac
done

[ "${#absent[@]}" -eq 0 ] || { printf 'not run, because these suites do not exist: %s\n' "${absent[*]}" >&2; }
[ "${#failed[@]}" -eq 0 ] || { printf 'FAILED: %s\n' "${failed[*]}" >&2; exit 1; }
[ "${#absent[@]}" -eq 0 ] || exit 2
printf 'all passed in %d s\n' "$SECONDS"
