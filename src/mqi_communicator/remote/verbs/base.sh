# The script of MQI Communicator on a host: each request runs one verb. Needs POSIX sh, GNU coreutils, grep and findutils,
# util-linux, rsync. Arguments are plain (letters, digits and /._:=,+@%~-); other data are read from stdin. Every verb
# may be repeated after a lost response. A verb that fails prints `mqi-trouble WORD ...` and exits with 1.
#
# Below the workspace ROOT, accessible only to this account:
#   staging/KEY/            an upload in progress; staging/KEY.lock is held by its receiver
#   cases/KEY/input/        renamed into place once every digest was verified (SHA256SUMS inside)
#   cases/KEY/runs/TOKEN/   one run: job.sh, job.spec, log, exit, products.sha256 and what the engine wrote
#   gates/TOKEN/            a job first takes its gate; a job whose gate is taken already does not compute
#   leases/NAME             which job a GPU is leased to
#   STOP                    an administrator's file: while it exists nothing new is started
umask 077
ulimit -c 0
LC_ALL=C
export LC_ALL

trouble() {
  printf 'mqi-trouble %s\n' "$*"
  exit 1
}

# open_root ROOT: check that the workspace exists and that none of its folders is a link, so that writes stay inside.
open_root() {
  is_root "$1" || trouble bad-word
  root=${1%/}
  for folder in gates cases staging leases; do
    [ ! -L "$root/$folder" ] || trouble not-ours "$folder is a link"
  done
  [ -d "$root/gates" ] && [ -d "$root/cases" ] && [ -d "$root/staging" ] || trouble no-workspace
}

# open_case KEY: set the paths of one case.
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

# open_token KEY-bN-rN: set the paths of one run.
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

# home_of WORD: set `word`, with a leading ~/ replaced by this account's home.
home_of() {
  case "$1" in
    '~/'*) word="$HOME/${1#??}" ;;
    *) word=$1 ;;
  esac
}

# kindly COMMAND...: run with low priority.
kindly() {
  if command -v ionice >/dev/null; then
    nice -n 19 ionice -c 3 "$@"
  else
    nice -n 19 "$@"
  fi
}

# shrink RUN: keep the small files of a failed run, which tell why it failed; delete large outputs, which may have filled
# the disk. A very long log keeps its beginning and its end.
shrink() {
  find "$1" -xdev -type f -size +2048 ! -path "$1/log" -delete
  if [ -n "$(find "$1/log" -size +16384 2>/dev/null)" ]; then
    left=$(show_log "$1/log" 32768 | tr -d '\000')
    printf '%s\n' "$left" >"$1/log"
  fi
}
