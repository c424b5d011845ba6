#!/usr/bin/env bash
# Run MQI Communicator in the foreground; signals reach it directly (Ctrl-C or SIGTERM shuts it down cleanly).
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<'TEXT'
usage: ./deploy.sh [CONFIG]         run with CONFIG (default: config.yaml in the folder of this script)
       ./deploy.sh --demo [--stay]  rehearse one synthetic case on this machine; --stay keeps everything running
       ./deploy.sh --help
Production needs no root and installs no system package. With a folder bundle/ (setup/bundle.sh) it needs no network.
Exit: 0 ended on request, 1 could not start or failed, 2 usage error.
TEXT
}

wrong() {
    printf 'error: %s\n' "$1" >&2
    usage >&2
    exit 2
}

config="" demo="" stay=()
for word in "$@"; do
    case "$word" in
    -h | --help) usage; exit 0 ;;
    --demo) demo=yes ;;
    --stay) stay=(--stay) ;;
    -*) wrong "unknown option $word" ;;
    *) [ -z "$config" ] || wrong "only one configuration file is allowed"; config="$word" ;;
    esac
done
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP

if [ -n "$demo" ]; then
    [ -z "$config" ] || wrong "--demo takes no configuration file"
    "$here/setup/prepare.sh" demo
    exec "$here/.venv/bin/python" -m mqi_communicator demo \
        --folder "$here/.demo" --engine-home "$here/.setup/mcsquare" "${stay[@]}"
fi
[ "${#stay[@]}" -eq 0 ] || wrong "--stay requires --demo"
config="${config:-$here/config.yaml}"
if [ ! -f "$config" ]; then
    printf 'error: the configuration file %s does not exist\nMake one:  "%s/mqi" config init --config "%s"\n%s\n' \
        "$config" "$here" "$config" "It asks for your folders, host and machines. config.example.yaml shows every setting." >&2
    exit 2
fi
"$here/setup/prepare.sh" run
exec "$here/.venv/bin/python" -m mqi_communicator run --config "$config"
