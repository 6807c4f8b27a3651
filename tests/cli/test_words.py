"""Plans in words: what a dry run shows."""

from typing import Any

from rich.text import Text

from podshare_cli import words


def _change(action: str, kind: str, name: str, container: str = "", **more: Any) -> dict[str, Any]:
    account = "111111111111"
    key = f"{kind}|{account}|us-west-2|{container}|{name}"
    return {"action": action, "kind": kind, "account": account, "region": "", "name": name, "key": key, **more}


def _plan(**parts: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"team": "vision", "hash": "0f", "count": 0, "left": 0}
    return {**empty, "revoke": [], "allocate": [], "grant": [], "obstacles": [], "problems": [], "notes": [], **parts}


def _lines(plan: dict[str, Any]) -> list[str]:
    return [Text.from_markup(line).plain for line in words.plan(plan)]


def test_a_plan_tells_what_is_cut_first_in_its_order_then_what_is_provided() -> None:
    """Stages are numbered in the order in which they cut; what is provided comes after them."""
    entry = "arn:aws:iam::111111111111:role/podshare/podshare-vision-1a2b3c4d"
    plan = _plan(
        count=3,
        revoke=[
            {"stage": "cluster_access", "changes": [_change("delete", "access_entry", entry, why="no longer desired")]},
            {"stage": "trust", "changes": [_change("cut", "role", "podshare-vision-1a2b3c4d")]},
        ],
        grant=[
            {"waves": [{"changes": [_change("create", "access_point", "podshare-v", why="dataset drafts", lane=0)]}]}
        ],
    )
    assert _lines(plan) == [
        "vision: 3 changes (0f)",
        "  Revoke, in stages:",
        "    1. cluster access",
        "       delete access entry of podshare-vision-1a2b3c4d in 111111111111 — no longer desired",
        "    2. who may assume the roles",
        "       cut    role podshare-vision-1a2b3c4d in 111111111111",
        "  Then provision (independent changes in parallel):",
        "    • dataset drafts",
        "       create access point podshare-v in 111111111111 — dataset drafts",
    ]


def test_differences_stand_below_their_change() -> None:
    """A person sees which field goes from what to what; brackets in values are no markup."""
    differs = [{"field": "resources", "from": '[{"Count": 4}]', "to": '[{"Count": 6}]'}]
    about = {"why": "the team's quota", "lane": 0, "differs": differs}
    quota = _change("update", "compute_quota", "abcdefghijkl/podshare-vision", "hyperpod-eks", **about)
    lines = _lines(_plan(count=1, allocate=[{"waves": [{"changes": [quota]}]}]))
    assert lines[-2:] == [
        "       update compute quota podshare-vision in 111111111111 — the team's quota",
        '              resources: [{"Count": 4}] → [{"Count": 6}]',
    ]


def test_what_is_provided_is_grouped_by_what_asks_for_it() -> None:
    """Changes of one reason stand together, in their order, also where their chains share batches with others."""
    member, dataset = {"why": "member 222222222222", "lane": 0}, {"why": "dataset drafts", "lane": 1}
    first = [
        _change("create", "role", "podshare-v", **member),
        _change("create", "access_point", "podshare-v", **dataset),
    ]
    second = [_change("create", "access_entry", "arn:aws:iam::111111111111:role/podshare-v", **member)]
    lines = _lines(_plan(count=3, grant=[{"waves": [{"changes": first}, {"changes": second}]}]))
    assert [line.split()[:3] for line in lines[2:]] == [
        ["•", "member", "222222222222"],
        ["create", "role", "podshare-v"],
        ["create", "access", "entry"],
        ["•", "dataset", "drafts"],
        ["create", "access", "point"],
    ]


def test_a_plan_without_changes_says_so() -> None:
    """Nothing to do is one line."""
    assert _lines(_plan()) == ["vision: nothing would change (0f)"]


def test_problems_obstacles_and_notes_come_with_their_remedies() -> None:
    """What keeps a plan from being whole is told after it, with what to do."""
    problem = {"record": "team#vision", "field": "cluster", "value": "x", "rule": "no such cluster", "remedy": "Fix."}
    obstacle = {"what": "bucket b is public", "remedy": "Block it.", "account": "", "bucket": "b"}
    late = {"what": "no member role in 555555555555", "remedy": "It is awaited.", "waits": True}
    gone = {"what": "role r in account 666666666666 is orphaned", "remedy": "Delete it.", "account": "666666666666"}
    plan = _plan(problems=[problem], obstacles=[obstacle, late], left_behind=[gone], notes=["dataset#old was deleted"])
    lines = _lines({**plan, "left": 7})
    assert lines == [
        "vision: 7 changes (0f)",
        "  7 more changes follow in the next run.",
        "  ✗ invalid record team#vision: cluster = x: no such cluster",
        "      Fix.",
        "  ! blocked by bucket b is public",
        "      Block it.",
        "  … waits no member role in 555555555555",
        "      It is awaited.",
        "  - role r in account 666666666666 is orphaned",
        "      Delete it.",
        "  note dataset#old was deleted",
    ]


def test_things_are_called_by_what_a_person_knows_them_by() -> None:
    """Shared documents and attachments are told as such, not as if they were podshare's whole."""
    delegation = _change("delete", "bucket_delegation", "vision/imagenet", "curated-images")
    attachment = _change("create", "role_attachment", "podshare-assume-cluster-access", "research/Researcher")
    assert words.resource(delegation) == "delegation in bucket curated-images to vision/imagenet in 111111111111"
    assert (
        words.resource_of_key(attachment["key"])
        == "attachment of policy podshare-assume-cluster-access to role research/Researcher in 111111111111"
    )
