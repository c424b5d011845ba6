"""The configuration: every component's options, composed, and loaded from the one YAML file."""

from mqi_communicator.config.file import ConfigProblem
from mqi_communicator.config.settings import Config, PathOptions, effective_digest, load

__all__ = ["Config", "ConfigProblem", "PathOptions", "effective_digest", "load"]
