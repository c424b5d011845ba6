#!/bin/sh
# Several cases by hand, SLOTS jobs at once: what the product does for them, without anything that makes it safe.
# usage: bare_cases.sh SSH_WORDS INPUT_FOLDER REMOTE_FOLDER RESULT_FOLDER SLOTS CASE/BEAM=COMMAND...
set -eu
ssh=$1 input=$2 remote=$3 back=$4 slots=$5
shift 5
mkdir -p "$back"
$ssh 127.0.0.1 "mkdir -p '$remote'"
for case in "$input"/*; do
    name=${case##*/}
    rsync -rt --rsync-path="mkdir -p '$remote/$name/runs' && rsync" -e "$ssh" "$case/" "127.0.0.1:$remote/$name/input/"
done
for job in "$@"; do
    place=${job%%=*}
    command=${job#*=}
    printf '%s\0' "cd '$remote/${place%/*}/runs' && mkdir ${place#*/} && cd ${place#*/} && { $command; } >log 2>&1"
done | xargs -0 -n 1 -P "$slots" $ssh 127.0.0.1
for case in "$input"/*; do
    name=${case##*/}
    rsync -rt -e "$ssh" "127.0.0.1:$remote/$name/runs/" "$back/$name/"
done
$ssh -O exit 127.0.0.1 2>/dev/null
