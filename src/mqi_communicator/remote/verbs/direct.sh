# Jobs on a plain host: detached sessions that record their own state.

# submit ROOT TOKEN TENTHS ANYWHERE: start the job whose specification is on stdin unless its gate is taken; return when
# the job has taken it. Safe at any time, even twice at once: the gate admits one job.
verb_submit() {
  open_root "$1"
  open_token "$2"
  if is_there "$gate"; then
    echo mqi-submit already
    return 0
  fi
  [ ! -e "$root/STOP" ] || trouble stopped
  [ "$4" = anywhere ] || ! submits_to_slurm || trouble slurm-host
  [ -d "$case_folder/input" ] || trouble no-input
  if is_there "$run" && ! is_there "$gate"; then trouble stray; fi
  lay_out_job direct
  gpus_fit
  setsid sh "$base.sh" --job "$base.spec" </dev/null >/dev/null 2>&1 &
  job=$!
  waited=0
  until is_there "$gate"; do
    stat_of $job && [ "$state" != Z ] && [ $waited -lt $((5 * $3)) ] || break
    sleep 0.02
    waited=$((waited + 1))
  done
  if is_there "$gate"; then
    echo mqi-submit begun
    return 0
  fi
  # shellcheck disable=SC2046 # split the reason
  [ ! -f "$base.why" ] || give_up $(cat -- "$base.why")
  trouble not-begun
}

# submits_to_slurm: whether jobs of a cluster are submitted from this machine.
submits_to_slurm() {
  command -v sbatch >/dev/null || return 1
  for conf in "${SLURM_CONF:-/etc/slurm/slurm.conf}" /run/slurm/conf/slurm.conf /etc/slurm-llnl/slurm.conf; do
    [ ! -e "$conf" ] || return 0
  done
  return 1
}

# lay_out_job SCHEDULER: write this script and the validated specification from stdin to the folder of the case's runs. A
# truncated specification is rejected.
lay_out_job() {
  shrink_earlier_runs
  mkdir -p -- "$runs" || trouble not-written
  base="$runs/.$token.$$"
  head -c 1048576 >"$base.sent" || give_up not-written
  [ "$(tail -n 1 -- "$base.sent")" = end ] || give_up cut
  # shellcheck disable=SC2086 # split the reason
  read_order "$1" <"$base.sent" >"$base.spec" || give_up ${why:-not-written}
  own_text >"$base.sh" || give_up not-written
  rm -f -- "$base.sent"
}

# shrink_earlier_runs: shrink ended runs of this beam. A run that was killed could not do so itself.
shrink_earlier_runs() {
  for earlier in "$runs/${token%-r*}"-r*; do
    [ -d "$earlier" ] && [ ! -L "$earlier" ] || continue
    (open_token "${earlier##*/}" && has_ended && shrink "$run") >/dev/null
  done
}

has_ended() {
  [ ! -e "$run/exit" ] || return 0
  [ -e "$gate/started" ] && read_record "$gate/started" && life_of "$token" || return 1
  case $life in dead | rebooted) ;; *) return 1 ;; esac
}

give_up() {
  rm -f -- "$base.sent" "$base.spec" "$base.sh" "$base.why"
  trouble "$@"
}

# own_text: print this script, whether it was sent or is installed.
own_text() {
  if [ -n "${mqi_text-}" ]; then printf '%s\n' "$mqi_text"; else cat -- "$0"; fi
}

# poll ROOT TENTHS TAIL_BYTES [gpus]: report the state of the jobs on stdin; then, for TENTHS of a second, report each job
# that ends.
verb_poll() {
  open_root "$1"
  tail_bytes=$3
  read_tokens
  [ ! -e "$root/STOP" ] || echo mqi-stopped
  [ "${4-}" != gpus ] || tell_gpus
  look_at_all
  nap_tenths=1
  watch_ends "$2" 0.1
  echo mqi-end
}

# cancel ROOT GRACE_TENTHS: for each job on stdin, bar its gate if it is free; else end its processes and wait until they
# are gone.
verb_cancel() {
  open_root "$1"
  read_tokens
  waited=0
  still=
  for one in $tokens; do
    open_token "$one"
    bar
    if ours; then ask_to_end "$token" "$owner" "$owner_start"; fi
  done
  for one in $tokens; do
    open_token "$one"
    if ours; then make_end "$token" "$owner" "$owner_start" $(($2 + 10)) || still=1; fi
  done
  [ -z "$still" ] || trouble alive
  echo mqi-done
}

# bar: take the gate ourselves, so that the job can never start.
bar() {
  ! is_there "$gate" || return 0
  aside="$root/gates/.$token.$$.bar"
  mkdir -- "$aside" && echo barred >"$aside/barred" && mv -T -- "$aside" "$gate" 2>/dev/null
  rm -rf -- "$aside"
}

# ours: whether the gate's owner is a process of this machine since its last boot.
ours() {
  [ -e "$gate/started" ] && read_record "$gate/started" && [ "$owner_boot" = "$boot" ] && [ "$owner_node" = "$node" ]
}
