"""Renders the tables of fields in docs/registry.md from the models of the records; all else of the page is typed."""

import re

from pydantic import BaseModel

from podshare.registry import records
from podshare_cli.records.fields import RECORDS, fields_of
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "registry.md"
MODELS: dict[str, type[BaseModel]] = {  # by their headings; the first table below each is rendered
    "`change`": records.LastChange,
    "`source`": records.ChangeSource,
    "`cluster#<name>`": records.Cluster,
    "`scheduler`": records.Scheduler,
    "`priority_classes`": records.PriorityClass,
    "`dataset#<name>`": records.Dataset,
    "`team#<name>`": records.Team,
    "`cluster`": records.ClusterQuota,
    "`enrollment#<name>`": records.Enrollment,
    "`team`": records.TeamTemplate,
    "`member`": records.MemberRole,
    "`approval#<team>`": records.Approval,
    "`block#<account>`": records.Block,
    "`pause#all`": records.Pause,
    "`members`": records.Membership,
    "`account_tag`": records.AccountTag,
    "`quota`": records.Quota,
    "`resources`": records.QuotaResource,
    "`accelerator_partition`": records.AcceleratorPartition,
    "`sharing`": records.Sharing,
    "`service_accounts`": records.ServiceAccount,
    "`datasets`": records.DatasetGrant,
    "`file_systems`": records.FileSystemGrant,
    "`rbac`": records.GroupRules,
    "`rules`": records.RbacRule,
}
_OF_EVERY_RECORD = ("schema", "changed_by", "change")  # in a table of their own
_NOTHING = "\N{EN DASH}"
_HEAD = "| field | required | default | values |\n|---|---|---|---|\n"


def page() -> str:
    """The whole page."""
    text = PAGE.read_text(encoding="utf-8")
    for heading, model in MODELS.items():
        below = re.compile(rf"(^#+ {re.escape(heading)}$.*?)(?:^\|[^\n]*\|\n)+", re.MULTILINE | re.DOTALL)
        text = below.sub(lambda found, model=model: found[1] + _table(model), text, count=1)
    return text


def _table(model: type[BaseModel]) -> str:
    is_record = model in RECORDS.values()
    rows = [
        f"| `{one.name}` | {'yes' if one.required else 'no'} | {one.default or _NOTHING} | {one.meaning} |\n"
        for one in fields_of(model)
        if not (is_record and one.name in _OF_EVERY_RECORD)
    ]
    return _HEAD + "".join(rows)
