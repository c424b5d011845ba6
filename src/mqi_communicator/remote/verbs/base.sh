# What MQI Communicator asks of a host: one script, one verb a question. POSIX sh, GNU coreutils, grep and findutils,
# util-linux, rsync. Words are plain (letters, digits and /._:=,+@%~-); whatever else a verb needs comes on stdin.
# Every verb may be asked again after a lost answer. What stands in its way it says as `mqi-trouble WORD ...`, exit 1.
#
# Below the workspace ROOT, for this account alone:
#   staging/KEY/            an upload in progress; staging/KEY.lock is held by its receiver
#   cases/KEY/input/        renamed into place once every digest was verified (SHA256SUMS inside)
#   cases/KEY/runs/TOKEN/   one run: job.sh, job.spec, log, exit, products.sha256 and what the engine wrote
#   gates/TOKEN/            a job's first act is to take its gate; who finds it taken does not compute
#   leases/NAME             which job a GPU belongs to
#   STOP                    an administrator's file: while it is there nothing new is started
umask 077
ulimit -c 0
LC_ALL=C
export LC_ALL

trouble() {
  printf 'mqi-trouble %s\n' "$*"
  exit 1
}

# open_root ROOT: the workspace is there and ours. None of its folders is a link: what we write stays in it.
open_root() {
  is_root "$1" || trouble bad-word
  root=${1%/}
  for folder in gates cases staging leases; do
    [ ! -L "$root/$folder" ] || trouble not-ours "$folder is a link"
  done
  [ -d "$root/gates" ] && [ -d "$root/cases" ] && [ -d "$root/staging" ] || trouble no-workspace
}

# open_case KEY: the places of one case.
open_case() {
  is_key "$1" || trouble bad-word
  key=$1
  case_folder="$root/cases/$key"
  stage="$root/staging/$key"
  runs="$case_folder/runs"
  for path in "$case_folder" "$case_folder/input" "$runs" "$stage" "$stage.lock"; do
    [ ! -L "$path" ] || trouble not-ours "${path#"$root"/} is a link"
  done
}

# open_token KEY-bN-rN: the places of one run.
open_token() {
  is_token "$1" || trouble bad-word
  token=$1
  open_case "${token%%-b*}"
  gate="$root/gates/$token"
  run="$runs/$token"
  for path in "$gate" "$run"; do
    [ ! -L "$path" ] || trouble not-ours "${path#"$root"/} is a link"
  done
}

is_there() { [ -e "$1" ] || [ -L "$1" ]; }

# home_of WORD: a leading ~/ is this account's home.
home_of() {
  case "$1" in
    '~/'*) word="$HOME/${1#??}" ;;
    *) word=$1 ;;
  esac
}

# kindly COMMAND...: so that nobody else on this machine notices.
kindly() {
  if command -v ionice >/dev/null; then
    nice -n 19 ionice -c 3 "$@"
  else
    nice -n 19 "$@"
  fi
}

# shrink RUN: what tells why a run failed stays, small as it is; what its programs wrote, perhaps until the disk was full,
# does not. A log without end keeps its beginning and its end.
shrink() {
  find "$1" -xdev -type f -size +2048 ! -path "$1/log" -delete
  if [ -n "$(find "$1/log" -size +16384 2>/dev/null)" ]; then
    left=$(show_log "$1/log" 32768 | tr -d '\000')
    printf '%s\n' "$left" >"$1/log"
  fi
}
