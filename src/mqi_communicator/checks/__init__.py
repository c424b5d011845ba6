"""mqi check: the configuration, verified against reality."""

from mqi_communicator.checks.finding import Finding
from mqi_communicator.checks.local import check_all, check_section

__all__ = ["Finding", "check_all", "check_section"]
