"""How the documents become pages: `python -m sphinx -W --keep-going docs FOLDER`. They are made offline."""

from importlib.metadata import version as installed

project = "MQI Communicator"
author = "the MQI Communicator maintainers"
release = version = installed("mqi-communicator")

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3  # the anchors that other pages link to
html_theme = "furo"
html_title = f"{project} {version}"
html_copy_source = False
html_show_copyright = False
