#!/bin/sh
# One folder by hand: rsync, then sha256sum on both sides, then the comparison.
# usage: bare_transfer.sh SSH_WORDS FOLDER REMOTE_FOLDER
set -eu
ssh=$1 source=$2 remote=$3
rsync -rt -e "$ssh" "$source/" "127.0.0.1:$remote/"
sums='find . -type f -print0 | sort -z | xargs -0 sha256sum'
here=$(cd "$source" && eval "$sums")
there=$($ssh 127.0.0.1 "cd '$remote' && $sums")
[ "$here" = "$there" ]
