# The order of a job, as it comes on stdin: lines of words parted by tabs (docs/protocol.md). It is read once, here. The job
# reads what is written down here: values of their form, and nothing that an administrator has not allowed.

# read_order SCHEDULER <SENT >CHECKED: for `direct` or `slurm`; 1 for what is no order, and `why` says why.
read_order() {
  scheduler=$1
  rank=0
  number=0
  why=
  while IFS= read -r line; do
    number=$((number + 1))
    read_line "$line" || {
      why=${why:-bad-order line $number}
      return 1
    }
  done
  if [ $rank != 12 ] || [ -n "$line" ]; then # no end, or something after it
    why="bad-order line $((number + 1))"
    return 1
  fi
}

read_line() {
  is_line "$1" || return 1
  IFS=$tab
  set -f
  # shellcheck disable=SC2086 # the words of the line
  set -- $1
  set +f
  unset IFS
  in_order "$1" || return 1
  case "$1,$#" in
    token,2) [ "$2" = "$token" ] ;;
    root,2) [ "${2%/}" = "$root" ] ;;
    limit,2 | grace,2) is_count "$2" ;;
    sbatch,2) [ "$scheduler" = slurm ] && may_ask_slurm "$2" ;;
    gpu,2) [ "$scheduler" = direct ] && is_gpu "$2" ;;
    gpu-look,3) [ "$scheduler" = direct ] && is_number "$2" && is_number "$3" ;;
    folder,2 | product,2 | output,2) is_below "$2" ;;
    show,2) [ "../../input/${2#../../input/}" = "$2" ] && is_below "${2#../../input/}" ;;
    end,1) ;;
    program,*)
      shift
      read_program "$@"
      return
      ;;
    *) return 1 ;;
  esac || return 1
  write_line "$@"
}

# in_order KIND: kinds follow one another as in the grammar. The first four stand there once, and so do gpu-look and end.
in_order() {
  before=$rank
  case $1 in
    token) rank=1 ;;
    root) rank=2 ;;
    limit) rank=3 ;;
    grace) rank=4 ;;
    sbatch) rank=5 ;;
    gpu) rank=6 ;;
    gpu-look) rank=7 ;;
    folder) rank=8 ;;
    product) rank=9 ;;
    program | output) rank=10 ;;
    show) rank=11 ;;
    end) rank=12 ;;
    *) return 1 ;;
  esac
  case $1 in
    token | root | limit | grace) [ $rank = $((before + 1)) ] ;;
    gpu-look) [ $before = 6 ] ;;
    output) [ $before = 10 ] ;;
    end) [ $before -ge 4 ] && [ $before -lt 12 ] ;;
    *) [ $before -ge 4 ] && [ $before -le $rank ] ;;
  esac
}

# read_program NAME LIMIT COUNT WORD...: COUNT words NAME=VALUE, the program, its words.
read_program() {
  [ $# -ge 4 ] && is_label "$1" && is_number "$2" && is_number "$3" && [ $# -ge $(($3 + 4)) ] || return 1
  name=$1
  seconds=$2
  settings=$3
  shift 3
  place=0
  barred=
  for one in "$@"; do
    is_word "$one" || return 1
    place=$((place + 1))
    if [ $place -le "$settings" ]; then
      read_setting "$one" || return 1
    elif [ $place = $((settings + 1)) ]; then
      case "$one" in -* | *=*) return 1 ;; esac
      may_run "$one" || barred=${barred:-$one}
    fi
  done
  if [ -n "$barred" ]; then write_line refused "$barred"; else write_line program "$name" "$seconds" "$settings" "$@"; fi
}

# read_setting NAME=VALUE: where an administrator has named the variables that are set, it is one of them: LD_PRELOAD would
# make any program do anything.
read_setting() {
  case "$1" in *=?*) ;; *) return 1 ;; esac
  is_variable "${1%%=*}" || return 1
  [ -n "${MQI_ONLY-}" ] || return 0
  printf '%s' "$MQI_VARIABLES" | grep -qxF -- "${1%%=*}" || barred=${barred:-the variable ${1%%=*}}
}

write_line() {
  IFS=$tab
  printf '%s\n' "$*" || why=not-written
  unset IFS
  [ -z "$why" ]
}

# programs: those that an administrator has named. `true` harms nobody.
programs() {
  printf '%strue\n' "$MQI_PROGRAMS" | while IFS= read -r one; do
    home_of "$one"
    printf '%s\n' "$word"
  done
}

# may_run PROGRAM: where an administrator has named the programs that are run, it is one of them.
may_run() {
  [ -n "${MQI_ONLY-}" ] || return 0
  home_of "$1"
  programs | grep -qxF -- "$word"
}

# may_look PATH: where an administrator has named programs, whether it is one of them or lies in the folder of one.
may_look() {
  [ -n "${MQI_ONLY-}" ] || return 0
  case "$1" in ../* | */../* | */..) return 1 ;; esac
  programs | {
    while IFS= read -r one; do
      [ "$1" != "$one" ] || exit 0
      case "$one" in /*/*) ;; *) continue ;; esac
      case "$1" in "${one%/*}"/*) exit 0 ;; esac
    done
    exit 1
  }
}

# may_ask_slurm OPTION: one of the eight that a configuration has names for, or one that the administrator lists, as it
# stands there. Without an administrator's word the key opens a shell anyway.
may_ask_slurm() {
  case "$1" in *[!]A-Za-z0-9_.,:=@%+/[-]* | [!-]* | -) return 1 ;; esac
  case "$1" in
    --partition=[!-]* | --account=[!-]* | --qos=[!-]* | --gres=[!-]*) return 0 ;;
    --time=* | --cpus-per-task=*) is_count "${1#*=}" && return 0 ;;
    --nice=*) is_number "${1#*=}" && return 0 ;;
    --mem=*M)
      memory=${1#*=}
      is_count "${memory%M}" && return 0
      ;;
  esac
  [ -n "${MQI_ONLY-}" ] || return 0
  [ -n "${MQI_SBATCH-}" ] && grep -qxF -- "$1" "$MQI_SBATCH" 2>/dev/null && return 0
  why="sbatch-barred $1"
  return 1
}
