#!/bin/sh
# One case by hand: what the product does for a case, without anything that makes it safe.
# usage: bare_case.sh SSH_WORDS INPUT_FOLDER REMOTE_FOLDER RESULT_FOLDER BEAM=COMMAND...
set -eu
ssh=$1 input=$2 remote=$3 back=$4
shift 4
$ssh 127.0.0.1 "mkdir -p '$remote/runs'"
rsync -rt -e "$ssh" "$input/" "127.0.0.1:$remote/input/"
for beam in "$@"; do
    number=${beam%%=*} command=${beam#*=}
    $ssh 127.0.0.1 "mkdir '$remote/runs/$number' && cd '$remote/runs/$number' && { $command; } >log 2>&1"
done
rsync -rt -e "$ssh" "127.0.0.1:$remote/runs/" "$back/"
$ssh -O exit 127.0.0.1 2>/dev/null
