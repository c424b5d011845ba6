# The remote end of rsync if this script is the only command that the communicator's key may run: this script determines
# the folder, and passes the options that `remote/rsync.py` makes rsync send, each as it was parsed here.

# receive ROOT KEY RSYNC-WORD...: receive into the case's staging folder, under its lock.
verb_receive() {
  [ $# -gt 2 ] || not_sent "a transfer without arguments"
  open_there open_case "$1" "$2"
  shift 2
  exec 9>>"$stage.lock" || exit 1
  flock -n -E 75 9
  [ $? -ne 75 ] || {
    echo mqi-lock-held >&2
    exit 75
  }
  far_end receive rpt "$stage" "$@"
}

# provide ROOT TOKEN RSYNC-WORD...: send from the folder of one run. rsync would follow a link that leads out of it.
verb_provide() {
  [ $# -gt 2 ] || not_sent "a transfer without arguments"
  open_there open_token "$1" "$2"
  shift 2
  real=$(readlink -f -- "$run")
  find "$run" -type l -exec readlink -m -- {} + 2>/dev/null | while IFS= read -r target; do
    case "$target/" in "$real"/*) ;; *) exit 1 ;; esac
  done || not_sent "a folder in which a link leads out of it"
  far_end provide IRprt "$run" "$@"
}

# open_there OPEN ROOT WHAT: errors go to stderr, because rsync reads stdout.
open_there() {
  {
    open_root "$2"
    "$1" "$3"
  } >&2
}

not_sent() {
  echo "mqi-refused $1" >&2
  exit 1
}

# far_end MODE LETTERS FOLDER RSYNC-WORD...: the last two words are `.` and a path, which is ignored.
far_end() {
  mode=$1
  letters=$2
  folder=$3
  shift 3
  seen=,
  pace=
  while [ $# -gt 2 ]; do
    case "$mode,$1" in
      *,--server | provide,--sender | receive,--delete | provide,--from0 | provide,--files-from=-) once "$1" ;;
      *,--timeout=*)
        once timeout
        seconds=${1#*=}
        is_number "$seconds" || not_sent "the rsync option $1"
        ;;
      *,--bwlimit=*)
        once pace
        pace=${1#*=}
        is_number "$pace" || not_sent "the rsync option $1"
        ;;
      receive,--partial-dir)
        once "$1"
        [ "$2" = .rsync-partial ] || not_sent "the rsync option $2"
        shift
        ;;
      *,-[A-Za-z]*)
        once letters
        read_letters "$1" || not_sent "the rsync option $1"
        ;;
      *) not_sent "the rsync option $1" ;;
    esac
    shift
  done
  [ "${1-}" = . ] && [ $# = 2 ] || not_sent "a transfer without a path"
  case $mode in
    receive) wanted='--server letters timeout --delete --partial-dir' ;;
    provide) wanted='--server --sender letters timeout --from0 --files-from=-' ;;
  esac
  for one in $wanted; do
    case "$seen" in *",$one,"*) ;; *) not_sent "a transfer without $one" ;; esac
  done
  set -- rsync --server
  [ $mode = receive ] || set -- "$@" --sender
  set -- "$@" "-${letters}e$abilities" "--timeout=$seconds"
  [ -z "$pace" ] || set -- "$@" "--bwlimit=$pace"
  case $mode in
    receive) kindly_exec "$@" --delete --partial-dir .rsync-partial . "$folder/" ;;
    provide) kindly_exec "$@" --files-from=- --from0 . "$folder/" ;;
  esac
}

# once WORD: reject an option that occurs twice.
once() {
  case "$seen" in *",$1,"*) not_sent "the rsync option $1 twice" ;; esac
  seen="$seen$1,"
}

# read_letters -LETTERSeABILITIES: exactly `letters`, in any order; after the e rsync encodes its version.
read_letters() {
  given=${1#-}
  case "$given" in *e*.*) ;; *) return 1 ;; esac
  abilities=${given#*e}
  given=${given%%e*}
  case "$abilities" in *[!A-Za-z0-9.]*) return 1 ;; esac
  [ ${#given} = ${#letters} ] || return 1
  rest=$letters
  while [ -n "$rest" ]; do
    case "$given" in *"${rest%"${rest#?}"}"*) ;; *) return 1 ;; esac
    rest=${rest#?}
  done
}

kindly_exec() {
  if command -v ionice >/dev/null; then exec nice -n 10 ionice -c 2 -n 7 "$@"; else exec nice -n 10 "$@"; fi
}
