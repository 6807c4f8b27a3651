"""The samples of triggers: one for each rule, in the shapes that AWS documents."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.events.models import EventPattern

from podshare.kinds.resource_events import touched
from podshare_sandbox import new_accounts, organization
from podshare_sandbox.cloudformation import template
from tests.builders import INSTALLATION

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "events").glob("*.json"))}
OF_DRIFT = sorted(name for name in SAMPLES if name.startswith("drift-"))
OF_THE_ORGANIZATION = sorted(name for name, sample in SAMPLES.items() if sample.get("source") == "aws.organizations")
# told in the member's account, where podshare has no rule
OF_MEMBERS = {"AcceptHandshake", "LeaveOrganization"}
FAILED = "-failed"


def _patterns() -> Iterator[tuple[str, dict[str, Any]]]:
    """The name of each rule of the management account, without the prefix, and what it matches."""
    for resource in template.read(ROOT / "accounts/management.yaml")["Resources"].values():
        if resource["Type"] == "AWS::Events::Rule":
            rule = resource["Properties"]
            yield rule["Name"]["Fn::Sub"].removeprefix("${Prefix}-"), rule["EventPattern"]


PATTERNS = dict(_patterns())


def _drift_patterns() -> dict[str, EventPattern]:
    """What each rule of the drift stack matches, by the rule's name without the prefix."""
    rules = [
        resource["Properties"]
        for resource in template.read(ROOT / "accounts/drift.yaml")["Resources"].values()
        if resource["Type"] == "AWS::Events::Rule"
    ]
    return {
        rule["Name"]["Fn::Sub"].removeprefix("${Prefix}-"): EventPattern.load(
            json.dumps(_with_prefix(rule["EventPattern"]))
        )
        for rule in rules
    }


def _with_prefix(value: Any) -> Any:
    match value:
        case {"Fn::Sub": str(text)}:
            return text.replace("${Prefix}", "podshare")
        case dict():
            return {name: _with_prefix(member) for name, member in value.items()}
        case list():
            return [_with_prefix(member) for member in value]
    return value


def _kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def _rules_for(event: dict[str, Any]) -> list[str]:
    return [
        name
        for name, pattern in PATTERNS.items()
        if event["source"] in pattern["source"] and event["detail"]["eventName"] in pattern["detail"]["eventName"]
    ]


def test_each_rule_has_a_sample_of_its_name() -> None:
    """Who looks for what a rule takes finds it by the rule's name."""
    assert PATTERNS
    assert PATTERNS.keys() <= SAMPLES.keys()


@pytest.mark.parametrize("name", OF_THE_ORGANIZATION)
def test_an_event_is_named_like_the_rule_that_takes_it(name: str) -> None:
    """One rule takes it, of the sample's name; none takes what AWS tells in a member's account."""
    event = SAMPLES[name]
    assert name.removesuffix(FAILED) == _kebab(event["detail"]["eventName"])
    expected = [] if event["detail"]["eventName"] in OF_MEMBERS else [name.removesuffix(FAILED)]
    assert _rules_for(event) == expected


@pytest.mark.parametrize("name", OF_THE_ORGANIZATION)
def test_an_envelope_is_eventbridges(name: str) -> None:
    """Account and Region are where AWS tells of it, and detail agrees with the envelope ("Events from AWS services")."""
    event, detail = SAMPLES[name], SAMPLES[name]["detail"]
    assert list(event) == [
        *("version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail")
    ]
    in_member = detail["eventName"] in OF_MEMBERS
    assert (event["account"] != organization.MANAGEMENT) == in_member
    assert (event["region"], detail["awsRegion"]) == ("us-east-1", "us-east-1")
    assert (event["account"], event["time"]) == (detail["recipientAccountId"], detail["eventTime"])
    kinds = {"AwsApiCall": "AWS API Call via CloudTrail", "AwsServiceEvent": "AWS Service Event via CloudTrail"}
    assert event["detail-type"] == kinds[detail["eventType"]]
    assert ("serviceEventDetails" in detail) == (detail["eventType"] == "AwsServiceEvent")


def test_each_drift_rule_takes_the_sample_of_its_name_alone() -> None:
    """One sample for each service, taken by the rule of its name and by no other, and not where the call failed."""
    patterns = _drift_patterns()
    assert sorted(patterns) == OF_DRIFT
    for name in OF_DRIFT:
        sample = SAMPLES[name]
        failed = {**sample, "detail": {**sample["detail"], "errorCode": "AccessDenied"}}
        assert [rule for rule, pattern in patterns.items() if pattern.matches_event(sample)] == [name]
        assert not [rule for rule, pattern in patterns.items() if pattern.matches_event(failed)]


@pytest.mark.parametrize("name", OF_DRIFT)
def test_a_sample_of_drift_leads_to_its_team(name: str) -> None:
    """Account and Region agree in envelope and detail, and what the call names is the team's, the bucket or the key."""
    event, detail = SAMPLES[name], SAMPLES[name]["detail"]
    assert (event["account"], event["time"]) == (detail["recipientAccountId"], detail["eventTime"])
    assert event["region"] == detail["awsRegion"]
    found = touched(event, INSTALLATION)
    key = (organization.DATA, organization.HUB_REGION, organization.SCANS_KEY.rpartition("/")[2])
    assert found.teams == {"vision"} or found.buckets == {"curated-images-333333333333"} or found.keys == {key}


def test_no_two_samples_are_the_same_event() -> None:
    """Ids tell events apart: one that had another's would be taken for its redelivery."""
    ids = [SAMPLES[name]["detail"]["eventID"] for name in (*OF_THE_ORGANIZATION, *OF_DRIFT)]
    assert len(set(ids)) == len(ids)
    envelopes = [SAMPLES[name]["id"] for name in (*OF_THE_ORGANIZATION, *OF_DRIFT, "execution-ended")]
    assert len(set(envelopes)) == len(envelopes)


def test_the_accounts_are_the_sandboxs() -> None:
    """What the samples name exists in a sandbox, or is the account that is created there first or second."""
    known = {*organization.ACCOUNTS, new_accounts.created_account(1), new_accounts.created_account(2)}
    for name, sample in SAMPLES.items():
        assert set(re.findall(r"(?<![\w.-])\d{12}(?![\w.-])", json.dumps(sample))) <= known, name


def test_every_sample_is_told_of() -> None:
    """The page of the samples names each, and no other."""
    told = re.findall(r"`([a-z0-9-]+)\.json`", (ROOT / "events/README.md").read_text(encoding="utf-8"))
    assert sorted(told) == sorted(SAMPLES)


def test_the_hubs_own_triggers_have_samples() -> None:
    """The stream's batch, the end of an execution, and the schedule are those of the hub's template."""
    hub = template.read(ROOT / "template.yaml")["Resources"]
    events = hub["ExecutionEnded"]["Properties"]["Events"]["EndedBadly"]["Properties"]["Pattern"]
    ended = SAMPLES["execution-ended"]
    assert ended["source"] in events["source"]
    assert ended["detail-type"] in events["detail-type"]
    assert ended["detail"]["status"] in events["detail"]["status"]
    assert json.loads(ended["detail"]["input"])["team"] == "vision"
    (schedule,) = (each["Properties"] for each in hub.values() if each["Type"] == "AWS::Scheduler::Schedule")
    assert schedule["Name"] == {"Fn::Sub": "${Prefix}-nightly-sweep"}
    assert json.loads(schedule["Target"]["Input"]) == SAMPLES["nightly-sweep"]
    records = SAMPLES["registry-changed"]["Records"]
    assert [record["dynamodb"]["Keys"]["id"]["S"] for record in records] == [
        *("cluster#main", "dataset#imagenet", "dataset#drafts", "team#vision")
    ]
