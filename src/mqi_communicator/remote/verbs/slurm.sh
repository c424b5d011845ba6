# Jobs through Slurm. The scheduler is queried rarely, for all jobs at once, and its reply is cached for earlier requests.
# Ends are detected on the shared file system, at no cost for the scheduler.

me=$(id -un)

# slurm_submit ROOT TOKEN: submit the job whose specification is on stdin with sbatch, once. An attempt whose response was
# lost has left a file: then the queue and the accounting are queried first, and a job found there is adopted. The gate
# admits one job in any case.
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

# find_in_slurm: set `found` to the id of the last job of this name and account.
find_in_slurm() {
  output=$(timeout 60 squeue -h -t all -u "$me" -n "$token" -o %i 2>&1) || trouble slurm-silent "$(one_line "$output")"
  found=$(printf '%s\n' "$output" | grep -E '^[0-9]+$' | sort -n | tail -n 1)
  [ -z "$found" ] || return 0
  output=$(timeout 60 sacct -n -P -X -u "$me" --name="$token" --starttime=now-30days -o JobIDRaw 2>/dev/null) || return 1
  found=$(printf '%s\n' "$output" | grep -E '^[0-9]+$' | sort -n | tail -n 1)
  [ -n "$found" ]
}

one_line() { printf '%s' "$1" | tr '\n\t' '  ' | head -c 300; }

hand_over() {
  set -f
  # shellcheck disable=SC2046 # one word per option
  set -- $(grep '^sbatch	' "$base.spec" | cut -f 2)
  set +f
  output=$(timeout 60 sbatch --parsable --job-name="$token" --comment="$token" --no-requeue --chdir="$runs" \
    --input=/dev/null --output=/dev/null --error=/dev/null "$@" \
    --wrap="exec sh '$base.sh' --job '$base.spec'" 2>&1 </dev/null)
  code=$?
  id=$(printf '%s\n' "$output" | grep -E '^[0-9]+(;[A-Za-z0-9_-]+)?$' | tail -n 1)
  if [ $code = 0 ] && [ -n "$id" ]; then
    echo "mqi-submit begun ${id%%;*}"
    return 0
  fi
  case "$output" in # Slurm may have accepted the job: keep its files
    *'imed out'* | *'ontact slurm controller'* | *'onnection refused'* | *'ommunication'* | '')
      trouble slurm-silent "$(one_line "$output")"
      ;;
  esac
  rm -f -- "$tried"
  give_up slurm-refused "$(one_line "$output")"
}

# slurm_poll ROOT TENTHS TAIL_BYTES QUERY_S NAP_TENTHS: report the state of the jobs on stdin, and the scheduler's reply on
# them, at most QUERY_S old; then, for TENTHS of a second, report each job that ends.
verb_slurm_poll() {
  open_root "$1"
  tail_bytes=$3
  query_s=$4
  nap_tenths=$5
  by_slurm=1
  last=1
  read_tokens
  [ ! -L "$root/.queue" ] && [ ! -L "$root/.account" ] || trouble not-ours a cached reply of Slurm is a link
  [ ! -e "$root/STOP" ] || echo mqi-stopped
  ask_slurm
  for one in $tokens; do look "$one"; done
  watch_ends "$2" "$((nap_tenths / 10)).$((nap_tenths % 10))"
  echo mqi-end
}

# ask_slurm: for jobs without an exit file and for those that a signal ended. Replies are cached in ROOT/.queue and
# ROOT/.account, each with the time and the exit code of the query in its first line.
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

# kept_at: set `kept` to the time of the cached reply; 0 if there is none, or if that time is in the future: this machine's
# clock was fast, and the age of the reply is unknown.
kept_at() {
  kept=0
  { read -r kept _ <"$root/.queue"; } 2>/dev/null
  case "$kept" in '' | *[!0-9]*) kept=0 ;; esac
  [ "$kept" -le "$(date +%s)" ] || kept=0
}

# ask_once: of concurrent callers one sends the query; the others use its reply, or the previous one.
ask_once() {
  before=$kept
  turn="$root/.after.$before"
  if mkdir -- "$turn" 2>/dev/null; then
    kept_at
    [ "$kept" != "$before" ] || ask_now
    rmdir -- "$turn"
  elif [ -n "$(find "$turn" -maxdepth 0 -mmin +3 2>/dev/null)" ]; then # the caller that went has died
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

# keep FILE COMMAND...: cache its output, with the time and the exit code.
keep() {
  file="$root/$1"
  shift
  output=$(SLURM_TIME_FORMAT=%s timeout 60 "$@" 2>&1)
  code=$?
  printf '%s %s\n%s\n' "$(date +%s)" $code "$output" >"$file.$$" && mv -- "$file.$$" "$file"
}

# slurm_cancel ROOT: for each job on stdin, bar its gate if it is free; cancel it in the queue, by its name and only for
# this account.
verb_slurm_cancel() {
  open_root "$1"
  read_tokens
  for one in $tokens; do
    open_token "$one"
    bar
    output=$(timeout 60 scancel --user="$me" --name="$token" 2>&1) || trouble slurm-silent "$(one_line "$output")"
  done
  echo mqi-done
}
