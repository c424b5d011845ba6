"""Python runs this in every child of a tapped communicator: its desk renames files, and has kill points of its own."""

import os
import sys

if "FAULTS_PID" in os.environ and "mqi_communicator.flow.workers.pool" in sys.orig_argv:
    from tests.faults.kill_points import wrap_files

    wrap_files()
    os.nice = lambda _: 0  # the harness is as nice as it was told to be; a busy machine would starve what is nicer
