"""The organization: its features, who is trusted, and whether it reports its events.

Sources: AWS Organizations user guide; "Events from AWS services via CloudTrail" in the EventBridge user guide.
"""

from collections.abc import Iterator
from typing import Any

from podshare_cli.aws.accounts import Accounts
from podshare_cli.commands.doctor.findings import Finding, Place, existing

_PLACE = Place("organization")
EVENTS_REGION = "us-east-1"  # the only Region in which Organizations reports its events
_STACK_SETS = "aws cloudformation activate-organizations-access"
_DELEGATE = (
    "aws organizations register-delegated-administrator --account-id {} --service-principal health.amazonaws.com"
)


def findings(accounts: Accounts, hub: dict[str, str]) -> Iterator[Finding]:
    """All checks of the organization; ``hub`` is the environment of the hub's functions, empty before a deployment."""
    yield from _PLACE.made("membership", lambda: _checked(accounts, hub))


def _checked(accounts: Accounts, hub: dict[str, str]) -> Iterator[Finding]:
    client = accounts.client("organizations", accounts.connection.account, EVENTS_REGION)
    answer = existing(client.describe_organization)
    if answer is None:
        remedy = "aws organizations create-organization --feature-set ALL"
        yield _PLACE.problem("membership", "the hub's account is not in an organization", remedy)
        return
    organization = answer["Organization"]
    yield from _features(organization, hub)
    yield from _administrator(accounts, client, hub)
    yield from _management(accounts, organization["MasterAccountId"], hub)


def _features(organization: dict[str, Any], hub: dict[str, str]) -> Iterator[Finding]:
    if organization["FeatureSet"] == "ALL":
        yield _PLACE.ok("features", f"{organization['Id']} has all features")
    else:
        message = f"{organization['Id']} has only consolidated billing: StackSets and policies do not work"
        yield _PLACE.problem("features", message, "aws organizations enable-all-features")
    for variable, parameter, actual in (
        ("PODSHARE_ORGANIZATION", "OrganizationId", organization["Id"]),
        ("PODSHARE_MANAGEMENT_ACCOUNT", "ManagementAccountId", organization["MasterAccountId"]),
    ):
        if hub.get(variable, actual) != actual:
            message = f"the hub was deployed for {parameter} {hub[variable]}, and this is {actual}"
            yield _PLACE.problem(parameter, message, f"sam deploy --parameter-overrides {parameter}={actual}")


def _administrator(accounts: Accounts, client: Any, hub: dict[str, str]) -> Iterator[Finding]:
    if hub.get("PODSHARE_ORGANIZATION_ACCESS") != "delegated-administrator":
        return
    account = accounts.connection.account

    def delegation() -> Iterator[Finding]:
        pages = client.get_paginator("list_delegated_administrators").paginate()
        if any(each["Id"] == account for page in pages for each in page["DelegatedAdministrators"]):
            yield _PLACE.ok("delegated administrator", f"the hub's account {account} is one")
        else:
            message = f"the hub reads the organization by itself, and account {account} is no delegated administrator"
            yield _PLACE.problem("delegated administrator", message, _DELEGATE.format(account))

    yield from _PLACE.made("delegated administrator", delegation)


def _management(accounts: Accounts, management: str, hub: dict[str, str]) -> Iterator[Finding]:
    place = Place(f"account {management}")
    if refusal := place.refusal(accounts, management):
        yield refusal
        return

    def trusted() -> Iterator[Finding]:
        stacks = accounts.client("cloudformation", management, EVENTS_REGION)
        if stacks.describe_organizations_access()["Status"] == "ENABLED":
            yield place.ok("trusted access", "StackSets have trusted access")
        else:
            yield place.problem("trusted access", "StackSets have no trusted access", _STACK_SETS)

    def role() -> Iterator[Finding]:
        name = f"{accounts.connection.prefix}-organization"
        accounts.client("iam", management, EVENTS_REGION).get_role(RoleName=name)
        yield place.ok("management stack", f"the role {name} exists")

    yield from place.made("trusted access", trusted)
    yield from place.made("trail", lambda: trail(accounts, place, management, EVENTS_REGION, needed=True))
    if hub.get("PODSHARE_ORGANIZATION_ACCESS", "management-role") == "management-role":
        for finding in place.made("management stack", role):
            deploy = "aws cloudformation deploy --template-file accounts/management.yaml --region us-east-1 …"
            yield (
                finding if finding.run or finding.status == "ok" else place.problem(finding.check, finding.what, deploy)
            )


def trail(accounts: Accounts, place: Place, account: str, region: str, *, needed: bool) -> Iterator[Finding]:
    """Whether a trail logs management events of a Region; without one EventBridge hears of no call there."""
    client = accounts.client("cloudtrail", account, region)
    for trail in client.describe_trails(includeShadowTrails=True)["trailList"]:
        here = trail.get("IsMultiRegionTrail") or trail.get("HomeRegion") == region
        name = trail.get("TrailARN", trail["Name"])
        if here and trail.get("IsOrganizationTrail") and f":{account}:" not in name:
            # that member accounts may ask for its status is not documented; the management account is asked
            yield place.ok(f"trail in {region}", f"the organization's trail {trail['Name']} covers it")
            return
        if here and client.get_trail_status(Name=name)["IsLogging"] and _logs_management(client, name):
            yield place.ok(f"trail in {region}", f"{trail['Name']} logs management events")
            return
    message = f"no trail logs management events of {region}: EventBridge hears of no call there"
    remedy = "aws cloudtrail create-trail --name management-events --is-multi-region-trail --s3-bucket-name BUCKET"
    if needed:
        yield place.problem(f"trail in {region}", message, remedy)
    else:
        yield place.warning(f"trail in {region}", f"{message}, so only the sweep finds drift", remedy)


def _logs_management(client: Any, name: str) -> bool:
    selectors = client.get_event_selectors(TrailName=name)
    basic = selectors.get("EventSelectors", [])
    if not basic and not selectors.get("AdvancedEventSelectors"):
        return True  # a new trail logs all management events
    if any(each.get("IncludeManagementEvents") and each.get("ReadWriteType") in ("All", "WriteOnly") for each in basic):
        return True
    return any(
        field.get("Field") == "eventCategory" and "Management" in field.get("Equals", [])
        for each in selectors.get("AdvancedEventSelectors", [])
        for field in each["FieldSelectors"]
    )
