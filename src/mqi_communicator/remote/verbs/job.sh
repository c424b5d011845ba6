# One job: it takes its gate, verifies its input, runs its programs within its time limit, and records how it ended.
# Started as `sh THIS --job SPEC` by the leader of a new session. read_order has written SPEC to the case's `runs` folder.

field() { grep -m1 "^$1	" "$spec" | cut -f 2; }

run_job() {
  spec=$1
  trap '' HUP
  trap 'cancelled=1' TERM
  cancelled=
  waited=0
  root=
  [ "$(tail -n 1 -- "$spec")" = end ] || exit 1
  open_root "$(field root)" >/dev/null
  open_token "$(field token)" >/dev/null
  grace=$(field grace)
  limit=$(field limit)
  take_gate
  cd -- "$runs" && mkdir -- "$token" && cd -- "$token" && mv -- "$0" job.sh && mv -- "$spec" job.spec || exit 1
  spec=job.spec
  ends=$(($(up) + limit))
  prove_input && run_programs >>log 2>&1 </dev/null
  code=$?
  ask_to_end "$token" $$ "$mine"
  make_end "$token" $$ "$mine" $((grace * 10))
  [ $code != 0 ] || prove_input || code=$?
  [ $code = 0 ] || shrink "$run"
  digest_products
  release_leases
  if [ -n "$cancelled" ] && [ $code = 0 ]; then code=143; fi
  printf '%s,%s\n' $code "$(date +%s)" >.exit && sync .exit && mv -T .exit exit
  exit 0
}

leave() {
  release_leases
  rm -f -- "$0" "$spec"
  exit 0
}

# take_gate: atomically, with the owner's record inside: a folder that is not empty cannot be replaced by a rename. A job
# that finds its gate taken does not compute. It does not touch what is leased to another job.
take_gate() {
  held=
  if is_there "$gate" || ! stat_of $$; then leave; fi
  mine=$start
  began=$(date +%s)
  own_record="$began,$$,$mine,$boot,$node,${SLURM_JOB_ID:-none}"
  take_leases || leave
  aside="$root/gates/.$token.$$.$mine"
  mkdir -- "$aside" && echo "$own_record" >"$aside/started" && mv -T -- "$aside" "$gate" 2>/dev/null || {
    rm -rf -- "$aside"
    leave
  }
}

# take_leases: lease each GPU of the specification to this job. The lease of a dead job is void.
take_leases() {
  grep -q '^gpu	' "$spec" || return 0
  [ ! -L "$root/leases/.lock" ] && exec 8>>"$root/leases/.lock" || return 1
  flock -n -E 75 8
  if [ $? = 75 ]; then flock -w 10 8 || return 1; fi
  for gpu in $(grep '^gpu	' "$spec" | cut -f 2); do
    lease="$root/leases/$gpu"
    if [ -e "$lease" ]; then
      owner_token=$(sed -n 2p "$lease")
      if read_record "$lease"; then
        life_of "$owner_token"
        case $life in
          dead | rebooted) ;;
          *)
            say_why "gpu-leased $gpu"
            return 1
            ;;
        esac
      fi
    fi
    printf '%s\n%s\n' "$own_record" "$token" >"$lease.$$" && mv -T -- "$lease.$$" "$lease" || return 1
    held="$held $gpu"
  done
  exec 8>&-
}

release_leases() {
  for gpu in $held; do
    if [ "$(sed -n 2p "$root/leases/$gpu" 2>/dev/null)" = "$token" ]; then rm -f -- "$root/leases/$gpu"; fi
  done
}

say_why() { echo "$*" >"${spec%.spec}.why"; }

# prove_input: verify that the input is what was uploaded; else exit code 65. It is verified before and after the
# programs run, because each of them reads it.
prove_input() {
  beam=${token##*-b}
  beam=${beam%%-*}
  (cd ../../input && grep -E "  \./(common|beam-$beam)/" SHA256SUMS | sha256sum -c --strict --quiet) >>log 2>&1 ||
    {
      echo "mqi-input differs from what was sent" >>log
      return 65
    }
}

# run_programs: one after the other, each within the remaining time; the first that fails ends the job.
run_programs() {
  MQI_TOKEN=$token
  export MQI_TOKEN
  set_gpus
  grep '^folder	' "$spec" | cut -f 2 | while IFS= read -r folder; do mkdir -- "$folder" || exit 73; done || return 73
  while IFS= read -r line; do
    IFS=$tab
    set -f
    # shellcheck disable=SC2086 # split the line
    set -- $line
    set +f
    unset IFS
    kind=$1
    shift
    case $kind in
      program) run_program "$@" || return $? ;;
      refused)
        printf 'mqi-refused %s\n' "$1"
        return 126
        ;;
      output)
        [ -s "$1" ] || {
          printf 'mqi-missing %s\n' "$1"
          return 66
        }
        ;;
      show) within ../../input "$1" && cat -- "$1" || return 74 ;;
    esac
  done <"$spec"
}

set_gpus() {
  gpus=$(grep '^gpu	' "$spec" | cut -f 2 | paste -s -d ,)
  [ -z "$gpus" ] || {
    CUDA_VISIBLE_DEVICES=$gpus
    export CUDA_VISIBLE_DEVICES
  }
}

# up: seconds since boot. Time limits use it because the wall clock may jump.
up() {
  IFS=' .' read -r seconds _ </proc/uptime
  echo "$seconds"
}

# run_program NAME LIMIT COUNT WORD...: LIMIT in seconds, 0 for the remaining time; the first COUNT words are NAME=VALUE,
# for the program's environment; the next is the program.
run_program() {
  echo "mqi-program $1" || return 74 # on a full disk, where this cannot be logged, do not start it
  left=$((ends - $(up)))
  if [ "$2" -gt 0 ] && [ "$2" -lt $left ]; then left=$2; fi
  [ $left -gt 0 ] || return 124
  settings=$3
  shift 3
  words=$#
  while [ $words -gt 0 ]; do
    case "$settings" in
      0) home_of "$1" ;;
      *)
        home_of "${1#*=}"
        word="${1%%=*}=$word"
        settings=$((settings - 1))
        ;;
    esac
    shift
    set -- "$@" "$word"
    words=$((words - 1))
  done
  since=$(up)
  timeout -k "$grace" "$left" env "$@" </dev/null
  code=$?
  if [ $code = 137 ] && [ $(($(up) - since)) -ge $left ]; then return 124; fi
  return $code
}

digest_products() {
  grep '^product	' "$spec" | cut -f 2 | while IFS= read -r path; do
    path="./$path"
    own_file "$path" && within . "$path" && sync -- "$path" && sum=$(sha256sum <"$path") &&
      printf '%s %s %s\n' "${sum%% *}" "$(stat -c %s -- "$path")" "$path"
  done >.products
  sync .products && mv -T .products products.sha256
}
