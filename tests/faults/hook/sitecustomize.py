"""Python runs this in every child of a tapped communicator: its workers rename files, and have kill points as well."""

import os
import sys

if "FAULTS_PID" in os.environ and any("multiprocessing.forkserver" in argument for argument in sys.orig_argv):
    from tests.faults.kill_points import wrap_files

    wrap_files()
    os.nice = lambda _: 0  # the harness is as nice as it was told to be; a busy machine would starve what is nicer
