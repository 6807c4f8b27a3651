"""Records: in files, as YAML, with the references between them, and how they are written."""
