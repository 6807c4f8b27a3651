"""Renders docs/podshare-records.json: the schema that editors read, as ``podshare schema`` prints it."""

import json

from podshare_cli.records.fields import schema_of_all
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "podshare-records.json"


def page() -> str:
    """The whole file."""
    return json.dumps(schema_of_all(), indent=2, ensure_ascii=False) + "\n"
