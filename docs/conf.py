"""How Sphinx builds the documentation into a site: `make docs`."""

project = "podshare"
copyright = "the podshare authors, Apache-2.0"  # noqa: A001  # Sphinx reads the name
extensions = ["myst_parser", "sphinxcontrib.mermaid"]
# the pages link to each other as they lie in the repository, so the repository is the source
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "events/README.md", "examples/gitops/README.md", "sandbox/*.md"]
exclude_patterns = [".*", "**/.*"]
html_theme = "furo"
html_extra_path = ["podshare-records.json", "podshare-events.json"]
html_title = "podshare"
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]
suppress_warnings = ["toc.not_included"]  # decisions are reached by their index
