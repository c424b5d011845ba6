# Entry points: as a job, as a script that was sent, or installed by an administrator as the forced command of the
# communicator's key, which can then do nothing else:
#   restrict,command="/opt/mqi/mqi-host --only /home/mqi/work --program /opt/moqui/tps_env" ssh-ed25519 AAAA...
# grammar.sh defines the syntax of requests, order.sh that of a job's specification; nothing else parses them.

MQI_EDITION=@EDITION@

do_verb() {
  verb=${1-}
  case $verb in
    workspace | space | settled | settle | remove | left | runs | submit | poll | cancel | slurm_submit | slurm_poll | slurm_cancel)
      [ -z "${MQI_ONLY-}" ] || [ "${2%/}" = "${MQI_ONLY%/}" ] || trouble bad-word "another workspace"
      ;;
    hello | clock | host | needs | gpus) ;;
    *) trouble bad-verb "$verb" ;;
  esac
  check_call "$@"
  shift
  "verb_$verb" "$@"
}

# installed --only ROOT [--program PATH]... [--variable NAME]... [--sbatch FILE]: the request is in
# SSH_ORIGINAL_COMMAND.
installed() {
  unset mqi_text
  MQI_ONLY=
  MQI_PROGRAMS=
  MQI_VARIABLES=
  MQI_SBATCH=
  while [ $# -gt 1 ]; do
    case "$1" in
      --only) MQI_ONLY=$2 ;;
      --program) MQI_PROGRAMS="$MQI_PROGRAMS$2
" ;;
      --variable) MQI_VARIABLES="$MQI_VARIABLES$2
" ;;
      --sbatch) MQI_SBATCH=$2 ;;
      *) exit 2 ;;
    esac
    shift 2
  done
  [ $# = 0 ] && is_root "$MQI_ONLY" || exit 2 # without a workspace the key could do anything
  export MQI_ONLY MQI_PROGRAMS MQI_VARIABLES MQI_SBATCH
  case "${SSH_ORIGINAL_COMMAND-}" in
    'mqi-host '*) ;;
    *) refused ;;
  esac
  case "$SSH_ORIGINAL_COMMAND" in *[!A-Za-z0-9_./:=,+@%~\ -]*) refused ;; esac
  set -f
  # shellcheck disable=SC2086 # split it
  set -- ${SSH_ORIGINAL_COMMAND#mqi-host }
  set +f
  case "${1-}" in
    hold) hold "$@" ;;
    receive | provide)
      verb=$1
      shift
      [ "${1%/}" = "${MQI_ONLY%/}" ] || refused
      "verb_$verb" "$@"
      ;;
    mqi-?*)
      [ $# -ge 3 ] && is_count "$2" || refused
      case "${1#mqi-}" in *[!0-9a-f]*) refused ;; esac
      exec timeout -k 5 "$2" sh "$0" --serve "$@"
      ;;
    *) refused ;;
  esac
}

hold() {
  [ $# = 2 ] || refused
  [ "$2" = "$MQI_EDITION" ] || {
    echo "mqi-other-edition $MQI_EDITION" >&2
    exit 1
  }
  echo mqi-ready
  exec cat
}

refused() {
  echo "mqi-refused: this key may only be used by MQI Communicator" >&2
  exit 1
}

# serve MARK LIMIT VERB WORD...: the response ends with the mark and the exit code; without them it is incomplete.
serve() {
  mark=$1
  shift 2
  (do_verb "$@")
  printf '\n%s %d\n' "$mark" $?
}

case "${1-}" in
  --job)
    run_job "$2"
    ;;
  --only)
    installed "$@"
    exit
    ;;
  --serve)
    shift
    serve "$@"
    exit
    ;;
esac
