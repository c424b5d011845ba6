# The specification of a job on stdin: lines of tab-separated words (docs/protocol.md). It is parsed once, here. The job
# reads what is written here: valid values, and nothing that an administrator has not allowed.

# read_order SCHEDULER <SENT >CHECKED: for `direct` or `slurm`; returns 1 for an invalid specification and sets `why`.
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
  if [ $rank != 12 ] || [ -n "$line" ]; then # no end line, or something after it
    why="bad-order line $((number + 1))"
    return 1
  fi
}

read_line() {
  is_line "$1" || return 1
  IFS=$tab
  set -f
  # shellcheck disable=SC2086 # split the line
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

# in_order KIND: kinds have the order of the grammar. The first four occur once, as do gpu-look and end.
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

# read_program NAME LIMIT COUNT WORD...: COUNT words NAME=VALUE, the program, its arguments.
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

# read_setting NAME=VALUE: if an administrator has listed the allowed variables, it must be one of them: LD_PRELOAD could
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

# programs: print those that an administrator has listed, and `true`, which is harmless.
programs() {
  printf '%strue\n' "$MQI_PROGRAMS" | while IFS= read -r one; do
    home_of "$one"
    printf '%s\n' "$word"
  done
}

# may_run PROGRAM: if an administrator has listed the allowed programs, whether it is one of them.
may_run() {
  [ -n "${MQI_ONLY-}" ] || return 0
  home_of "$1"
  programs | grep -qxF -- "$word"
}

# may_look PATH: if an administrator has listed programs, whether it is one of them or in the folder of one.
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

# may_ask_slurm OPTION: one of the eight options that have configuration keys, or exactly one that the administrator lists.
# If the script is not installed by an administrator, the key opens a shell anyway.
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
