#!/usr/bin/env python3
"""A stand-in nvidia-smi: answers the two questions we ask as the real one does, from a file; and fails as it fails.

The file (FAKE_GPUS) is JSON: "mode" (ok, nodriver, lost, hang, garbage), "gpus" (each with index, uuid, total, used,
percent, celsius; memory in MiB) and "apps" (each with uuid, pid, used). With "jobs": MiB, whatever process carries
MQI_TOKEN, CUDA_VISIBLE_DEVICES and the same FAKE_GPUS in its environment is seen to use so much on the first of its
GPUs: what runs for other tests at the same time is on another machine.
"""

import json
import os
import sys
import time
from pathlib import Path

state = json.loads(Path(os.environ["FAKE_GPUS"]).read_text())
gpus, apps = state.get("gpus", []), list(state.get("apps", []))

if state.get("mode") == "hang":
    time.sleep(3600)
if state.get("mode") == "nodriver":
    print("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest "
          "NVIDIA driver is installed and running.\n")  # fmt: skip
    sys.exit(9)
if state.get("mode") == "lost":
    print("Unable to determine the device handle for GPU0000:3B:00.0: GPU is lost.  Reboot the system to recover\n")
    sys.exit(15)
if state.get("mode") == "garbage":
    print("<html>")
    sys.exit(0)


def of_jobs(mib: int) -> None:
    """Jobs of ours use memory for as long as they live."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "environ").read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        named = dict(word.split("=", 1) for word in words if "=" in word)
        ours = "MQI_TOKEN" in named and named.get("FAKE_GPUS") == os.environ["FAKE_GPUS"]
        if ours and named.get("CUDA_VISIBLE_DEVICES"):
            first = named["CUDA_VISIBLE_DEVICES"].split(",")[0]
            for gpu in gpus:
                if first in (gpu["uuid"], str(gpu["index"])) and not any(app["uuid"] == gpu["uuid"] for app in apps):
                    apps.append({"uuid": gpu["uuid"], "pid": int(folder.name), "used": mib})
                    gpu["used"] = gpu.get("used", 0) + mib


if state.get("jobs"):
    of_jobs(state["jobs"])

options = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
NAMES = {
    "index": "index", "uuid": "uuid", "memory.total": "total", "memory.used": "used", "utilization.gpu": "percent",
    "temperature.gpu": "celsius",
}  # fmt: skip
if wanted := options.get("--query-gpu"):
    chosen = [gpu for gpu in gpus if options.get("--id") in (None, gpu["uuid"], str(gpu["index"]))]
    if not chosen:
        print("No devices were found")
        sys.exit(6)
    for gpu in chosen:
        print(", ".join(str(gpu.get(NAMES[name], "[N/A]")) for name in wanted.split(",")))
elif "--query-compute-apps" in options:
    for app in apps:
        print(f"{app['uuid']}, {app['pid']}, {app.get('used', '[N/A]')}")
else:
    print("the stand-in knows --query-gpu and --query-compute-apps")
    sys.exit(2)
