# Jobs through Slurm. The scheduler is asked seldom, for all jobs at once, and what it said is kept for everybody who asks
# sooner; ends are seen on the shared file system, which costs it nothing.

me=$(id -un)

# slurm_submit ROOT TOKEN: hand the job whose spec is on stdin to sbatch, once. A try whose answer was lost left its
# mark: then the queue and the accounting are asked first, and what is found there is adopted. The gate lets one through
# in any case.
verb_slurm_submit() {
  open_root "$1"
  open_token "$2"
  if is_there "$gate"; then
    [ -e "$gate/started" ] && read_record "$gate/started"
    echo "mqi-submit already ${scheduler_id:-none}"
    return 0
  fi
  [ ! -e "$root/STOP" ] || trouble stopped
  [ -d "$case_folder/input" ] || trouble no-input
  ! is_there "$run" || trouble stray
  tried="$runs/.$token.tried"
  if [ -e "$tried" ] && find_in_slurm; then
    echo "mqi-submit adopted $found"
    return 0
  fi
  lay_out_job slurm
  : >"$tried" || give_up not-written
  hand_over
}

# find_in_slurm: sets `found` to the id of the last job of this name, of this account.
find_in_slurm() {
  said=$(timeout 60 squeue -h -t all -u "$me" -n "$token" -o %i 2>&1) || trouble slurm-silent "$(one_line "$said")"
  found=$(printf '%s\n' "$said" | grep -E '^[0-9]+$' | sort -n | tail -n 1)
  [ -z "$found" ] || return 0
  said=$(timeout 60 sacct -n -P -X -u "$me" --name="$token" --starttime=now-30days -o JobIDRaw 2>/dev/null) || return 1
  found=$(printf '%s\n' "$said" | grep -E '^[0-9]+$' | sort -n | tail -n 1)
  [ -n "$found" ]
}

one_line() { printf '%s' "$1" | tr '\n\t' '  ' | head -c 300; }

hand_over() {
  set -f
  # shellcheck disable=SC2046 # one word an option
  set -- $(grep '^sbatch	' "$base.spec" | cut -f 2)
  set +f
  said=$(timeout 60 sbatch --parsable --job-name="$token" --comment="$token" --no-requeue --chdir="$runs" \
    --input=/dev/null --output=/dev/null --error=/dev/null "$@" \
    --wrap="exec sh '$base.sh' --job '$base.spec'" 2>&1 </dev/null)
  code=$?
  id=$(printf '%s\n' "$said" | grep -E '^[0-9]+(;[A-Za-z0-9_-]+)?$' | tail -n 1)
  if [ $code = 0 ] && [ -n "$id" ]; then
    echo "mqi-submit begun ${id%%;*}"
    return 0
  fi
  case "$said" in # what it may have accepted all the same keeps its files
    *'imed out'* | *'ontact slurm controller'* | *'onnection refused'* | *'ommunication'* | '')
      trouble slurm-silent "$(one_line "$said")"
      ;;
  esac
  rm -f -- "$tried"
  give_up slurm-refused "$(one_line "$said")"
}

# slurm_poll ROOT TENTHS TAIL_BYTES QUERY_S NAP_TENTHS: what is to be seen of the jobs on stdin; what the scheduler says of
# them, at most QUERY_S old; and then, for so many tenths of a second, each that ends.
verb_slurm_poll() {
  open_root "$1"
  tail_bytes=$3
  query_s=$4
  nap_tenths=$5
  by_slurm=1
  last=1
  read_tokens
  [ ! -L "$root/.queue" ] && [ ! -L "$root/.account" ] || trouble not-ours an answer of Slurm that is kept is a link
  [ ! -e "$root/STOP" ] || echo mqi-stopped
  ask_slurm
  for one in $tokens; do look "$one"; done
  watch_ends "$2" "$((nap_tenths / 10)).$((nap_tenths % 10))"
  echo mqi-end
}

# ask_slurm: of the jobs that have not ended by their own word, or by a signal that somebody sent. Its answers are kept in ROOT/.queue and ROOT/.account,
# each with the time and the exit code of the question in its first line.
ask_slurm() {
  open_jobs=
  for one in $tokens; do
    open_token "$one"
    word_of "$run/exit"
    case "$word" in garbled | 137,* | 143,*) open_jobs="$open_jobs $one" ;; esac
  done
  if [ -n "$open_jobs" ]; then
    kept_at
    [ $(($(date +%s) - kept)) -lt "$query_s" ] || ask_once
  fi
  echo "mqi-now $(date +%s)"
  [ -n "$open_jobs" ] || return 0
  for one in queue account; do
    read -r kept code <"$root/.$one"
    text=$(tail -n +2 "$root/.$one" | grep -F "$(printf '|%s|\n' $open_jobs)" | head -c 4194304 | base64 -w0)
    [ "$code" = 0 ] || text=$(tail -n +2 "$root/.$one" | head -c 300 | base64 -w0)
    echo "mqi-$one $kept $code $text"
  done
}

# kept_at: sets `kept` to the time of the answer that is kept; 0 if there is none, or if that time has not come: this
# machine's clock was fast, and nobody knows how old the answer is.
kept_at() {
  kept=0
  { read -r kept _ <"$root/.queue"; } 2>/dev/null
  case "$kept" in '' | *[!0-9]*) kept=0 ;; esac
  [ "$kept" -le "$(date +%s)" ] || kept=0
}

# ask_once: whoever asks at the same time lets one of them go, and takes its answer, or the one before.
ask_once() {
  before=$kept
  turn="$root/.after.$before"
  if mkdir -- "$turn" 2>/dev/null; then
    kept_at
    [ "$kept" != "$before" ] || ask_now
    rmdir -- "$turn"
  elif [ -n "$(find "$turn" -maxdepth 0 -mmin +3 2>/dev/null)" ]; then # who went did not come back
    rmdir -- "$turn"
  fi
  tenths=0
  until [ -e "$root/.account" ] || [ $tenths -ge 300 ]; do
    sleep 0.1
    tenths=$((tenths + 1))
  done
}

ask_now() {
  keep .queue squeue -h -t all -u "$me" -o '%i|%j|%T|%r|%e|%N'
  missing=
  for one in $open_jobs; do
    grep -qF "|$one|" "$root/.queue" || missing="$missing,$one"
  done
  if [ -n "$missing" ]; then
    keep .account sacct -n -P -D -X -u "$me" --name="${missing#,}" --starttime=now-30days \
      -o JobIDRaw,JobName,State,Reason,End,NodeList
  else
    printf '%s 0\n' "$(date +%s)" >"$root/.account.$$" && mv -- "$root/.account.$$" "$root/.account"
  fi
}

# keep FILE COMMAND...: what it says, with the time and the exit code.
keep() {
  file="$root/$1"
  shift
  said=$(SLURM_TIME_FORMAT=%s timeout 60 "$@" 2>&1)
  code=$?
  printf '%s %s\n%s\n' "$(date +%s)" $code "$said" >"$file.$$" && mv -- "$file.$$" "$file"
}

# slurm_cancel ROOT: for each job on stdin, bar its gate if it is free; cancel what of it is in the queue, by its name and
# of this account alone.
verb_slurm_cancel() {
  open_root "$1"
  read_tokens
  for one in $tokens; do
    open_token "$one"
    bar
    said=$(timeout 60 scancel --user="$me" --name="$token" 2>&1) || trouble slurm-silent "$(one_line "$said")"
  done
  echo mqi-done
}
