"""How a plan is shown to people: as text, and as a comment of a pull request."""

import re
from typing import Any

import pytest
from rich.text import Text

from podshare_cli.plans.confirming import Losses
from podshare_cli.plans.record_plan import RecordPlan
from podshare_cli.records.changes import Effect, RecordChange
from podshare_cli.views.plan import View, text
from podshare_cli.views.plan_markdown import LONGEST_COMMENT, markdown

INSTALLATION = {"account": "111111111111", "region": "us-west-2", "prefix": "podshare"}
ENTRY = "arn:aws:iam::111111111111:role/podshare/podshare-vision-1a2b3c4d"


def change(action: str, kind: str, name: str, container: str = "", **more: Any) -> dict[str, Any]:
    account = "111111111111"
    key = f"{kind}|{account}|us-west-2|{container}|{name}"
    return {"action": action, "kind": kind, "account": account, "region": "", "name": name, "key": key, **more}


def team_plan(team: str = "vision", **parts: Any) -> dict[str, Any]:
    lists = {name: [] for name in ("revoke", "allocate", "grant", "obstacles", "problems", "notes", "losses")}
    counts = [change for stage in parts.get("revoke", ()) for change in stage["changes"]]
    chains = (*parts.get("allocate", ()), *parts.get("grant", ()))
    counts += [change for chain in chains for batch in chain["waves"] for change in batch["changes"]]
    return {"team": team, "hash": "0f", "count": len(counts), "left": 0, **lists, **parts}


def providing(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"about": "a test", "waves": [{"changes": [{"lane": 0, "why": "a test", **each} for each in changes]}]}]


def view(*plans: dict[str, Any], verbose: bool = False, named: bool = False, **parts: Any) -> View:
    plan = RecordPlan(INSTALLATION, teams={plan["team"]: plan for plan in plans}, **parts)
    return View(plan, verbose=verbose, named=named)


def lines(*plans: dict[str, Any], **parts: Any) -> list[str]:
    return [Text.from_markup(line).plain for line in text(view(*plans, **parts))]


def person(account: str, *may: str, **more: Any) -> dict[str, Any]:
    place = {"where": "main", "within": "hyperpod-ns-vision", "keeps": []}
    return {"of": "cluster", "account": account, "who": "role R", **place, "may": [*may], **more}


def data(within: str, *may: str, keeps: tuple[str, ...] = ()) -> dict[str, Any]:
    subject = {"of": "data", "account": "", "who": "service account trainer", "where": "imagenet"}
    return {**subject, "within": within, "may": [*may], "keeps": [*keeps]}


ROLE = change("create", "role", "podshare-v")


def test_who_loses_and_gains_comes_first_then_the_quota_then_how_much_it_is() -> None:
    """A reviewer reads people and data before resources; losses before gains."""
    quota = {"cluster": "main", "instance_type": "ml.p5", "before": {"count": 4}, "after": None}
    plan = team_plan(
        grant=providing(ROLE),
        revocations=[person("444444444444", "training"), data("imagenet/*", "read", keeps=("imagenet/train/*",))],
        gains=[person("222222222222", "admin")],
        quotas=[quota],
    )
    assert lines(plan)[:8] == [
        "Loses access",
        "- account 444444444444: role R on cluster main as team vision (training)",
        "- dataset imagenet: team vision, service account trainer: read imagenet/* (keeps imagenet/train/*)",
        "Gains access",
        "+ account 222222222222: role R on cluster main as team vision (admin)",
        "Quota",
        "~ team vision on cluster main: 4 x ml.p5 → none",
        "Plan: 1 to add, 0 to change, 0 to revoke",
    ]


def test_people_who_gain_the_same_share_a_line() -> None:
    """Hundreds of accounts of a unit are one line, which names the first of them; -v names them all."""
    accounts = [f"{number:012}" for number in range(30)]
    plan = team_plan(grant=providing(ROLE), gains=[person(account, "training") for account in accounts])
    (line,) = [line for line in lines(plan) if "role R" in line]
    assert line.startswith(f"+ accounts {', '.join(accounts[:12])} and 18 more: role R")
    assert any(", ".join(accounts) in line for line in lines(plan, verbose=True))


def test_access_in_another_namespace_is_named_as_that() -> None:
    """What reaches beyond the team's own namespace is what a reviewer must not miss."""
    plan = team_plan(
        grant=providing(ROLE), revocations=[person("222222222222", "AmazonEKSClusterAdminPolicy", within="*")]
    )
    assert (
        "- account 222222222222: role R on cluster main as team vision in namespace * (AmazonEKSClusterAdminPolicy)"
        in (lines(plan))
    )


def test_unchanged_teams_are_a_count() -> None:
    """Of hundreds of teams those that change are shown; -v names the others, and shows each."""
    plans = [team_plan("vision", grant=providing(ROLE)), *(team_plan(f"t{number}") for number in range(3))]
    assert "3 teams unchanged" in lines(*plans)
    assert not any(line.startswith("t1") for line in lines(*plans))
    assert "3 teams unchanged: t0, t1, t2" in lines(*plans, verbose=True)
    assert "t1: nothing would change (0f)" in lines(*plans, verbose=True)


def test_nothing_to_do_is_one_line() -> None:
    """Whatever was checked, it is said once."""
    same = RecordChange("team#vision", Effect.UNCHANGED, {"id": "team#vision"}, {"id": "team#vision"})
    assert lines(team_plan(), team_plan("audio")) == ["Nothing would change: 2 teams checked."]
    assert lines(records=[same])[0] == "Nothing would change: 1 record checked."
    assert lines() == ["Nothing would change: no team checked."]


def test_a_note_that_holds_for_all_teams_is_said_once() -> None:
    """A note of some teams names them; one of all stands alone."""
    first = team_plan("audio", grant=providing(ROLE), notes=["isolation is not verified"])
    second = team_plan("vision", grant=providing(ROLE), notes=["isolation is not verified", "dataset#old was deleted"])
    shown = lines(first, second)
    assert shown[shown.index("Notes") + 1 :][:2] == [
        "  isolation is not verified",
        "  team vision: dataset#old was deleted",
    ]


def test_blockers_come_once_with_all_of_their_teams_and_the_remedy() -> None:
    """What blocks is apart from what podshare waits for; a record's problem and a failed plan block too."""
    blocker = {"what": "bucket b is public", "remedy": "Block it."}
    late = {"what": "no member role in 555555555555", "remedy": "It is awaited.", "waits": True}
    problem = {"record": "team#vision", "field": "cluster", "value": "x", "rule": "no such cluster", "remedy": "Fix."}
    gone = {"what": "role r in account 666666666666 is orphaned", "remedy": "Delete it."}
    plans = [
        team_plan("audio", grant=providing(ROLE), obstacles=[blocker]),
        team_plan("vision", grant=providing(ROLE), obstacles=[blocker, late], problems=[problem], left_behind=[gone]),
    ]
    assert lines(*plans, failures={"radar": "it timed out"})[:11] == [
        "Warnings",
        "! vision: role r in account 666666666666 is orphaned",
        "    Delete it.",
        "Blocked by",
        "! team radar: it timed out",
        "! teams audio, vision: bucket b is public",
        "    Block it.",
        "! team vision: invalid record team#vision: cluster = x: no such cluster",
        "    Fix.",
        "Waits for",
        "… team vision: no member role in 555555555555",
    ]


def test_resources_come_in_the_order_in_which_they_would_change() -> None:
    """Stages are numbered as they revoke; what is provided comes after them, by what asks for it."""
    plan = team_plan(
        revoke=[
            {"stage": "cluster_access", "changes": [change("delete", "access_entry", ENTRY, why="no longer desired")]},
            {"stage": "trust", "changes": [change("cut", "role", "podshare-vision-1a2b3c4d")]},
        ],
        grant=providing(change("create", "access_point", "podshare-v", why="dataset drafts")),
        left=7,
    )
    shown = lines(plan)
    assert shown[shown.index("") + 1 :] == [
        "vision: 1 to add, 2 to revoke",
        "  Revoke, in stages:",
        "    1. cluster access",
        "      - delete access entry of podshare-vision-1a2b3c4d in 111111111111",
        "    2. who may assume the roles",
        "      - revoke role podshare-vision-1a2b3c4d in 111111111111",
        "  Then provision (independent changes in parallel):",
        "    • dataset drafts",
        "      + create access point podshare-v in 111111111111",
        "… 7 more changes follow in the next run.",
    ]
    assert "Plan: 1 to add, 0 to change, 2 to revoke, 7 more in later runs" in shown
    reasons = lines(plan, verbose=True)
    assert "      - delete access entry of podshare-vision-1a2b3c4d in 111111111111 — no longer desired" in reasons


def test_provisions_of_one_reason_are_together() -> None:
    """Changes of one reason are together, in their order, also where their chains share batches with others."""
    member, dataset = {"why": "member 222222222222", "lane": 0}, {"why": "dataset drafts", "lane": 1}
    first = [change("create", "role", "v", **member), change("create", "access_point", "v", **dataset)]
    second = [change("create", "access_entry", ENTRY, **member)]
    shown = lines(team_plan(grant=[{"waves": [{"changes": first}, {"changes": second}]}]))
    assert [line.split()[:4] for line in shown[-5:]] == [
        ["•", "member", "222222222222"],
        ["+", "create", "role", "v"],
        ["+", "create", "access", "entry"],
        ["•", "dataset", "drafts"],
        ["+", "create", "access", "point"],
    ]


def test_a_documents_change_is_what_goes_and_what_comes() -> None:
    """Short values share a line; long ones have one each, none is cut, and brackets in them are no markup."""
    entry = change("update", "role", "podshare-v")
    long = "arn:aws:s3:us-west-2:333333333333:accesspoint/podshare-vision/object/[imagenet]/train/*"
    fields = [
        {"field": "max_session_seconds", "removed": ["3600"], "added": ["7200"]},
        {"field": "policies.data.Read.Resource", "removed": [], "added": [long]},
    ]
    assert lines(team_plan(grant=providing(entry), fields={entry["key"]: fields}))[-3:] == [
        "          ~ max_session_seconds: 3600 → 7200",
        "            policies.data.Read.Resource:",
        f"            + {long}",
    ]


def test_what_is_restricted_and_extended_shows_each_part_where_it_happens() -> None:
    """What a restriction removes is below it, what the update adds is below that one."""
    narrow, update = change("narrow", "role", "v"), change("update", "role", "v")
    field = {"field": "trust", "removed": ["a" * 80], "added": ["b" * 80]}
    shown = lines(
        team_plan(
            revoke=[{"stage": "trust", "changes": [narrow]}], grant=providing(update), fields={update["key"]: [field]}
        )
    )
    restricted, updated = shown.index("      ~ restrict role v in 111111111111"), len(shown)
    assert shown[restricted + 2].endswith("a" * 80)
    assert shown[updated - 1].endswith("b" * 80)
    assert sum("aaaa" in line for line in shown) == sum("bbbb" in line for line in shown) == 1


def test_a_long_value_shows_the_parts_that_differ() -> None:
    """A document that changes in one number is that number, not the document twice; -v shows all of it."""
    role = change("update", "published_team", "/podshare/teams/vision")
    same = ", ".join(
        f"arn arn:aws:s3:us-west-2:333333333333:accesspoint/podshare-vision-{number}" for number in range(9)
    )
    old, new = (f"{same}, quota count {count}, region us-west-2" for count in (4, 3))
    fields = {role["key"]: [{"field": "value.clusters", "removed": [old], "added": [new]}]}
    plan = team_plan(grant=providing(role), fields=fields)
    shown = [line.strip() for line in lines(plan)]
    assert shown[-1] == "~ value.clusters: … quota count 4 … → … quota count 3 …"
    assert [f"- {old}", f"+ {new}"] == [line.strip() for line in lines(plan, verbose=True)][-2:]
    other = {role["key"]: [{"field": "value", "removed": ["a" * 70], "added": ["b" * 70]}]}
    assert lines(team_plan(grant=providing(role), fields=other))[-1].strip() == f"+ {'b' * 70}"


def test_a_field_is_named_once_with_all_that_goes_and_comes() -> None:
    """Each of its statements is a line below it."""
    role = change("update", "role", "podshare-v")
    parts = [{"field": "policies.data", "removed": [f"Sid {sid}"], "added": []} for sid in ("Use", "Read")]
    shown = lines(team_plan(grant=providing(role), fields={role["key"]: parts}))
    assert [line.strip() for line in shown[-3:]] == ["policies.data:", "- Sid Use", "- Sid Read"]


def test_records_show_what_differs_from_the_registry() -> None:
    """Who edited the registry by hand sees it here: the file says otherwise."""
    before = {"id": "team#vision", "owner": "sam", "changed_by": "arn"}
    records = [
        RecordChange("dataset#new", Effect.CREATE, {"id": "dataset#new"}),
        RecordChange("team#vision", Effect.CHANGE, {"id": "team#vision", "owner": "priya"}, before),
        RecordChange("team#old", Effect.DELETE, None, before),
    ]
    shown = lines(records=records)
    assert shown[shown.index("Records: 1 to create, 1 to change, 1 to delete") + 1 :] == [
        "+ dataset#new",
        "~ team#vision",
        "  ~ owner: sam → priya",
        "- team#old",
    ]


@pytest.mark.parametrize("path", ["", "team."])
def test_a_records_grants_are_shown_whole(path: str) -> None:
    """Each line names the grant that it is a part of, in a team's record as in an enrollment's."""
    image, text_, web = (
        {"dataset": name, "access": access, "prefix": f"{name}/of/the/whole/organization/"}
        for name, access in (("images", "read"), ("texts", "read_write"), ("web", "read"))
    )

    def record(*grants: dict[str, str], **more: Any) -> dict[str, Any]:
        team = {"service_accounts": [{"name": "trainer", "datasets": [*grants]}, *more.pop("others", ())], **more}
        return {"id": "enrollment#e", "team": team} if path else {"id": "team#vision", **team}

    def shown(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
        printed = lines(records=[RecordChange(before["id"], Effect.CHANGE, after, before)])
        return [line.strip() for line in printed[printed.index("Records: 1 to change") + 2 :]]

    web_grant = f"+ {path}service_accounts[trainer].datasets[web]"
    added = [f"{web_grant}.access: read", f"{web_grant}.prefix: web/of/the/whole/organization/"]
    assert shown(record(image, text_), record(image, web, text_)) == added
    assert shown(record(image, text_), record(image, web, text_, others=[{"name": "late"}])) == [
        f"+ {path}service_accounts: name late",
        *added,
    ]
    malformed = record(image, others=[{"name": "trainer"}])  # as no record may be, but another tool may write
    assert shown(malformed, record(image)) == [f"- {path}service_accounts: name trainer"]


def test_isolation_is_said_once_at_the_beginning() -> None:
    """It always holds: a line of the header, and no paragraph below every plan; other notes are as they were."""
    note = "isolation is not verified: namespace_hardening of cluster main is off, so that a pod may take it"
    plan = team_plan(grant=providing(ROLE), notes=[note, "dataset#x was deleted: its grants are revoked"])
    shown = lines(plan)
    assert shown[0] == "isolation: off on cluster main"
    assert not [line for line in shown if "is not verified" in line]
    assert "  dataset#x was deleted: its grants are revoked" in shown
    assert "us-west-2; isolation: off on cluster main)" in markdown(view(plan))


def test_what_is_created_has_its_attributes_in_the_verbose_plan() -> None:
    """One a line by its path, as in terraform; the plan without -v names the resource alone."""
    key, fields = ROLE["key"], [
        {"field": "max_session_seconds", "removed": [], "added": ["3600"]},
        {"field": "tags.podshare:team", "removed": [], "added": ["vision"]},
    ]  # fmt: skip
    plan = team_plan(grant=providing(ROLE), fields={key: fields})
    shown = [line.strip() for line in lines(plan, verbose=True)]
    begin = next(number for number, line in enumerate(shown) if line.startswith("+ create role"))
    assert shown[begin + 1 : begin + 3] == ["+ max_session_seconds: 3600", "+ tags.podshare:team: vision"]
    assert not [line for line in lines(plan) if "max_session_seconds" in line]


def test_what_a_record_says_does_nothing_to_the_terminal_of_its_reviewer() -> None:
    """Escape sequences, line breaks and characters that turn the direction of text are spelled out."""
    plan = team_plan(grant=providing(ROLE), notes=["a\x1b[2Jb\nc\u202ed [red]e"])
    assert "  a\\x1b[2Jb\\nc\\u202ed [red]e" in lines(plan)
    assert "  a\\x1b[2Jb\\nc\\u202ed [red]e\n" in markdown(view(plan))


# ---- as a comment ----------------------------------------------------------------------------------------------


def test_a_comment_begins_with_the_summary_and_folds_the_rest() -> None:
    """The count and who gains what are read at once, resources after a click; GitHub colors a diff by its marks."""
    plan = team_plan(grant=providing(ROLE), gains=[person("222222222222", "admin")])
    comment = markdown(view(plan))
    assert comment.startswith("### podshare plan\n\n**Plan: 1 to add, 0 to change, 0 to revoke** (podshare in account")
    assert "#### Gains access\n\n```diff\n+ account 222222222222: role R on cluster main" in comment
    assert "<details><summary>vision: 1 to add</summary>\n\n```diff\n" in comment
    assert comment.count("```") == 4


def test_no_line_of_a_plan_ends_the_fence_around_it() -> None:
    """A record's text may hold backquotes and tags; what follows stays part of the diff."""
    comment = markdown(view(team_plan(grant=providing(ROLE), notes=["``` <script> ````"])))
    assert "`````diff\n  ``` <script> ````\n`````" in comment


@pytest.mark.parametrize("teams", [1, 400])
def test_a_comment_keeps_githubs_limit_and_says_what_it_leaves_out(teams: int) -> None:
    """Whole teams are left out, never a part of one; whoever reads it knows that, and how to see them."""
    changes = [change("create", "role", f"podshare-{number}-é{'x' * 60}") for number in range(20)]
    comment = markdown(view(*(team_plan(f"team-{number}", grant=providing(*changes)) for number in range(teams))))
    assert len(comment.encode()) < LONGEST_COMMENT
    assert comment.count("<details>") == comment.count("</details>") >= 1
    fences = re.findall(r"^```.*$", comment, re.MULTILINE)
    assert fences == ["```diff", "```"] * (len(fences) // 2)
    left_out = "Left out, because a comment holds 65,536 characters: team-" in comment
    assert left_out == (teams > 1)
    assert comment.rstrip().endswith("`podshare plan` prints them in full.") == (teams > 1)


def test_a_summary_that_is_too_long_is_left_out_whole_too() -> None:
    """Thousands of losses do not push the count out of the comment."""
    losses = [person(f"{number:012}", "training", who=f"role R{number}") for number in range(3000)]
    comment = markdown(view(team_plan(grant=providing(ROLE), revocations=losses)))
    assert len(comment.encode()) < LONGEST_COMMENT
    assert "**Plan: 1 to add" in comment
    assert "Left out, because a comment holds 65,536 characters: Loses access." in comment


def test_the_names_of_unchanged_teams_do_not_fill_the_comment() -> None:
    """With -v they are named where there is room, and counted where there is none."""
    for teams in (3, 5000):
        unchanged = [team_plan(f"team-of-the-account-{number}") for number in range(teams)]
        comment = markdown(view(team_plan(grant=providing(ROLE)), *unchanged, verbose=True))
        assert len(comment.encode()) < LONGEST_COMMENT
        assert ("unchanged: team-of-the-account-0, " in comment) is (teams == 3)
        assert f"{teams} teams unchanged" in comment


def test_a_loss_by_two_roles_is_shown_once() -> None:
    """A service account has a role for each way to its data: who confirms reads what is lost, once."""
    lost = [{"key": key, "what": "service account trainer: its data"} for key in ("role|1", "role|2")]
    other = {"key": "role|3", "what": "member 222222222222: access"}
    lines = [*Losses("vision", [*lost, other]).lines()]
    assert lines == ["Team vision loses:", "  service account trainer: its data", "  member 222222222222: access"]
