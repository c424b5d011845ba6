# Report jobs, one line each. Words that are not plain become "garbled"; free text is sent as base64.

word_of() {
  word=
  [ -L "$1" ] || { IFS= read -r word <"$1"; } 2>/dev/null
  case "$word" in '' | *[!0-9A-Za-z._,-]*) word=garbled ;; esac
}

# show_log FILE BYTES: print all of it; of a long one BYTES of its beginning and of its end, and between them the number of
# bytes omitted.
show_log() {
  length=$(stat -c %s -- "$1") || return 0
  if [ "$length" -le $((2 * $2)) ]; then
    head -c $((2 * $2)) -- "$1"
  else
    head -c "$2" -- "$1"
    printf '\nmqi-cut %s\n' $((length - 2 * $2))
    tail -c "$2" -- "$1"
  fi
}

# look TOKEN: report one job. Print nothing and return 1 for a job that seems dead and has no exit file, unless `last` is
# set: the file may be written at this moment.
look() {
  open_token "$1"
  kind=none life=none began=none ended=none products='' log=''
  if [ -e "$gate/started" ]; then
    kind=job
    word_of "$gate/started"
    began=$word
    if [ ! -e "$run/exit" ]; then
      life=unknown
      if [ -n "${by_slurm-}" ]; then life=slurm; elif read_record "$gate/started"; then life_of "$token"; fi
    fi
  elif [ -e "$gate/barred" ]; then
    kind=barred
  elif is_there "$gate"; then
    kind=foreign
  elif is_there "$run"; then
    kind=stray
  elif [ -e "$runs/.$token.tried" ]; then
    kind=tried
    began=$(stat -c %Y -- "$runs/.$token.tried")
  else # its gate may have been purged while it is alive
    members "$token" 0 0
    [ -z "$alive" ] || life=alive
  fi
  if [ $kind = job ]; then
    if [ -e "$run/exit" ]; then
      word_of "$run/exit"
      ended=$word
    elif [ $life = dead ] && [ -z "$last" ]; then
      return 1
    fi
    if own_file "$run/log"; then log=$(show_log "$run/log" "$tail_bytes" | base64 -w0); fi
    if [ "$ended" != none ] && own_file "$run/products.sha256"; then
      products=$(head -c 262144 -- "$run/products.sha256" | base64 -w0)
    fi
  fi
  echo "mqi-job $token $kind $life $began $ended products=$products log=$log ${mark:-none}"
}

# look_at_all: look at every token once; again, a second later, at those that seem lost.
look_at_all() {
  again=
  last=
  for one in $tokens; do look "$one" || again="$again $one"; done
  if [ -n "$again" ]; then
    sleep 1
    last=1
    for one in $again; do look "$one"; done
  fi
}

# read_tokens: from stdin, one per line.
read_tokens() {
  tokens=
  while IFS= read -r one; do
    open_token "$one"
    tokens="$tokens $one"
  done
}

# watch_ends TENTHS NAP: wait, and report each job as soon as it ends.
watch_ends() {
  watched=
  for one in $tokens; do
    open_token "$one"
    [ -e "$run/exit" ] || watched="$watched $one"
  done
  passed=0
  while [ $passed -lt "$1" ] && [ -n "$watched" ]; do
    sleep "$2"
    passed=$((passed + nap_tenths))
    still=
    for one in $watched; do
      case_key=${one%%-b*}
      if [ -e "$root/cases/$case_key/runs/$one/exit" ]; then
        last=1
        look "$one"
      else
        still="$still $one"
      fi
    done
    watched=$still
  done
}
