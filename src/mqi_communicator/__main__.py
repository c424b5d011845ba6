"""python -m mqi_communicator."""

from mqi_communicator.cli import main

main()
