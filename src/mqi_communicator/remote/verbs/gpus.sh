# GPUs as the driver tells of them. A question that fails leaves them unknown: never idle.

# tell_gpus: what nvidia-smi says, and which processes on them are jobs of ours.
tell_gpus() {
  said=$(timeout 20 nvidia-smi \
    --query-gpu=index,uuid,memory.total,memory.used,utilization.gpu,temperature.gpu \
    --format=csv,noheader,nounits 2>&1)
  code=$?
  echo "mqi-gpus $code $(printf '%s' "$said" | head -c 65536 | base64 -w0)"
  [ $code = 0 ] || return 0
  said=$(timeout 20 nvidia-smi --query-compute-apps=gpu_uuid,pid,used_memory --format=csv,noheader,nounits 2>&1)
  code=$?
  echo "mqi-apps $code $(printf '%s' "$said" | head -c 65536 | base64 -w0)"
  [ $code = 0 ] || return 0
  mine=
  for pid in $(printf '%s\n' "$said" | cut -d , -f 2); do
    case "$pid" in *[!0-9]*) continue ;; esac
    if grep -qsz '^MQI_TOKEN=' "/proc/$pid/environ"; then mine="$mine $pid"; fi
  done
  echo "mqi-ours$mine"
}

# gpus_fit: each GPU of the job laid out is, at this moment, used by nobody, and has the memory that is needed. Without
# `gpu-look` in its spec nobody can tell, and the site has said so.
gpus_fit() {
  look=$(grep -m1 '^gpu-look	' "$base.spec") || return 0
  need=$(echo "$look" | cut -f 2)
  foreign=$(echo "$look" | cut -f 3)
  for gpu in $(grep '^gpu	' "$base.spec" | cut -f 2); do
    said=$(timeout 20 nvidia-smi --id="$gpu" --query-gpu=memory.total,memory.used --format=csv,noheader,nounits 2>&1) ||
      give_up gpu-unknown "$gpu"
    total=${said%%,*}
    used=${said##*, }
    case "$total$used" in '' | *[!0-9]*) give_up gpu-unknown "$gpu" ;; esac
    [ "$used" -le "$foreign" ] || give_up gpu-used "$gpu" "$used"
    [ $((total - used)) -ge "$need" ] || give_up gpu-small "$gpu" $((total - used))
  done
}

# gpus: what there is, for `mqi check`.
verb_gpus() {
  tell_gpus
  echo mqi-done
}
