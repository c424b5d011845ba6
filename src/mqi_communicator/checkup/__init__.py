"""mqi check: every claim of the configuration, held against reality."""

from mqi_communicator.checkup.here import check_up
from mqi_communicator.checkup.there import Finding

__all__ = ["Finding", "check_up"]
