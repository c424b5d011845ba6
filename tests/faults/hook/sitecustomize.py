"""Python runs this in every child of a communicator under test: its workers have kill points as well."""

import os
import sys

if "FAULTS_PID" in os.environ and any("multiprocessing.forkserver" in argument for argument in sys.orig_argv):
    from tests.faults.kill_points import wrap_files

    wrap_files()
    os.nice = lambda _: 0  # the harness sets the priority; a busy machine would starve lower ones
