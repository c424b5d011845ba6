# rsync's far end, where this script is the only thing the communicator's key may start: the folder is ours to say.

# receive ROOT KEY RSYNC-WORD...: into the case's staging folder, under its lock.
verb_receive() {
  open_root "$1"
  open_case "$2"
  shift 2
  exec 9>>"$stage.lock" || exit 1
  flock -n -E 75 9
  [ $? -ne 75 ] || {
    echo mqi-lock-held >&2
    exit 75
  }
  far_end "$stage/" "$@"
}

# provide ROOT TOKEN RSYNC-WORD...: from the folder of one run.
verb_provide() {
  open_root "$1"
  open_token "$2"
  shift 2
  far_end "$run/" "$@"
}

# far_end FOLDER RSYNC-WORD...: the last two words are `.` and a path, and the path is not believed.
far_end() {
  folder=$1
  shift
  words=$#
  while [ $words -gt 2 ]; do
    case "$1" in
      --server | --sender | -[A-Za-z.]* | --timeout=* | --bwlimit=* | --partial-dir | .rsync-partial | --delete) ;;
      --delete-during | --from0 | --files-from=- | --log-format=* | --ignore-times | --no-r | --dirs | --numeric-ids) ;;
      *)
        echo "mqi-refused the rsync word $1" >&2
        exit 1
        ;;
    esac
    set -- "$@" "$1"
    shift
    words=$((words - 1))
  done
  [ "${1-}" = . ] || exit 1
  shift 2
  kindly_exec rsync "$@" . "$folder"
}

kindly_exec() {
  if command -v ionice >/dev/null; then exec nice -n 10 ionice -c 2 -n 7 "$@"; else exec nice -n 10 "$@"; fi
}
