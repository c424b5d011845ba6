# GPUs as the driver reports them. After a failed query they are unknown, never idle.

# tell_gpus: print the output of nvidia-smi, and which processes on the GPUs belong to our jobs.
tell_gpus() {
  output=$(timeout 20 nvidia-smi \
    --query-gpu=index,uuid,memory.total,memory.used,utilization.gpu,temperature.gpu \
    --format=csv,noheader,nounits 2>&1)
  code=$?
  echo "mqi-gpus $code $(printf '%s' "$output" | head -c 65536 | base64 -w0)"
  [ $code = 0 ] || return 0
  output=$(timeout 20 nvidia-smi --query-compute-apps=gpu_uuid,pid,used_memory --format=csv,noheader,nounits 2>&1)
  code=$?
  echo "mqi-apps $code $(printf '%s' "$output" | head -c 65536 | base64 -w0)"
  [ $code = 0 ] || return 0
  mine=
  for pid in $(printf '%s\n' "$output" | cut -d , -f 2); do
    case "$pid" in *[!0-9]*) continue ;; esac
    if grep -qsz '^MQI_TOKEN=' "/proc/$pid/environ"; then mine="$mine $pid"; fi
  done
  echo "mqi-ours$mine"
}

# gpus_fit: check that each GPU of the job is unused at this moment and has enough free memory. Without `gpu-look` in the
# specification the site has configured that this cannot be checked.
gpus_fit() {
  look=$(grep -m1 '^gpu-look	' "$base.spec") || return 0
  need=$(echo "$look" | cut -f 2)
  foreign=$(echo "$look" | cut -f 3)
  for gpu in $(grep '^gpu	' "$base.spec" | cut -f 2); do
    output=$(timeout 20 nvidia-smi --id="$gpu" --query-gpu=memory.total,memory.used --format=csv,noheader,nounits 2>&1) ||
      give_up gpu-unknown "$gpu"
    total=${output%%,*}
    used=${output##*, }
    case "$total$used" in '' | *[!0-9]*) give_up gpu-unknown "$gpu" ;; esac
    [ "$used" -le "$foreign" ] || give_up gpu-used "$gpu" "$used"
    [ $((total - used)) -ge "$need" ] || give_up gpu-small "$gpu" $((total - used))
  done
}

# gpus: report the GPUs, for `mqi check`.
verb_gpus() {
  tell_gpus
  echo mqi-done
}
