"""The sandbox as its people see it: admins who write records, scientists who submit jobs, pods that read data."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import boto3
import httpx2
import lightkube
from botocore.exceptions import ClientError
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, Context, User
from lightkube.core.exceptions import ApiError
from lightkube.models.authorization_v1 import ResourceAttributes, SelfSubjectAccessReviewSpec
from lightkube.resources.authorization_v1 import SelfSubjectAccessReview

from podshare.aws.eks_token import token
from podshare.aws.rows import from_item, to_item
from podshare_sandbox import Sandbox
from podshare_sandbox.services import kubernetes, pod_identity
from tests.builders import a_team_item

HUB, DATA, MANAGEMENT = "111111111111", "333333333333", "999999999999"
VISION, LANGUAGE = "222222222222", "444444444444"
REGION = "us-west-2"
ROOT, SCIENCE, PLATFORM = "r-pods", "ou-pods-science1", "ou-pods-platform"
HISTORY = f"podshare-history-{HUB}-{REGION}"
EKS_ARN = f"arn:aws:eks:{REGION}:{HUB}:cluster/hyperpod-eks"
IMAGES, TEXT, SCANS = f"curated-images-{DATA}", f"web-text-{DATA}", f"clinical-scans-{DATA}"
KMS_KEY = f"arn:aws:kms:{REGION}:{DATA}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CLUSTER = {
    "id": "cluster#main",
    "account": HUB,
    "region": REGION,
    "eks_cluster": "hyperpod-eks",
    "hyperpod_cluster": "hyperpod",
}
DATASETS = [
    {"id": "dataset#imagenet", "account": DATA, "region": REGION, "bucket": IMAGES, "prefix": "imagenet/"},
    {"id": "dataset#crawl", "account": DATA, "region": REGION, "bucket": TEXT, "prefix": "crawl/"},
    {"id": "dataset#drafts", "account": DATA, "region": REGION, "bucket": TEXT, "prefix": "drafts/"},
    {
        "id": "dataset#scans",
        "account": DATA,
        "region": REGION,
        "bucket": SCANS,
        "prefix": "scans/",
        "kms_key": KMS_KEY,
    },
]
MUTATING = (
    "Create",
    "Revoke",
    "Put",
    "Update",
    "Delete",
    "Attach",
    "Detach",
    "Associate",
    "Disassociate",
    "Tag",
    "Untag",
    "Add",
)

Item = dict[str, Any]
Seen = TypeVar("Seen")


class World:
    """A sandbox with podshare deployed, and a cluster and three datasets in the registry."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.outputs: dict[str, str] = {}
        self._ended: dict[tuple[Any, ...], Item] = {}

    # ---- time ----

    def advance(self, by: timedelta) -> None:
        """Let time pass for podshare, AWS and this process, and wait until all that follows is done."""
        self.sandbox.advance(by.total_seconds())
        self.sandbox.settle()

    def advance_to(self, moment: datetime) -> None:
        """Let time pass until a second after ``moment``; all that follows is done then."""
        self.advance(max(timedelta(), moment - datetime.now(UTC)) + timedelta(seconds=1))

    # ---- admins ----

    def put(self, *items: Item, settle: bool = True) -> None:
        """Write records, and wait until everything is quiet."""
        for item in items:
            self.sandbox.client("dynamodb").put_item(TableName="podshare-registry", Item=to_item(item))
        if settle:
            self.sandbox.settle()

    def put_team(self, name: str, **fields: Any) -> Item:
        """Write a team and return its status."""
        self.put(a_team_item(name, **fields))
        return self.status(name)

    def delete(self, *ids: str, settle: bool = True) -> None:
        """Delete records, and wait until everything is quiet: the teams' work ends with them."""
        if settle:
            for record in ids:
                self.end_pods(record.partition("#")[2])
        for record in ids:
            self.sandbox.client("dynamodb").delete_item(TableName="podshare-registry", Key={"id": {"S": record}})
        if settle:
            self.sandbox.settle()

    def reconcile(self, team: str) -> Item:
        """Start a reconciliation by hand and return the execution's output."""
        machine = f"arn:aws:states:{REGION}:{HUB}:stateMachine:podshare-reconcile-team"
        trigger = {"event": "admin", "record": f"team#{team}", "change": "", "by": "", "at": "", "id": ""}
        started = self.sandbox.client("stepfunctions").start_execution(
            stateMachineArn=machine, input=json.dumps({"team": team, "trigger": trigger})
        )
        self.sandbox.settle()
        found = self.sandbox.client("stepfunctions").describe_execution(executionArn=started["executionArn"])
        output: Item = json.loads(found.get("output", "{}"))
        return {**output, "status": found["status"], "executionArn": started["executionArn"]}

    def status(self, team: str) -> Item:
        """What podshare says of a team."""
        return self.state("status", f"team#{team}")

    def await_state(self, team: str, state: str) -> Item:
        """A team's status once it is in ``state``, while runs go on. Raises TimeoutError, see ``awaited``."""
        return awaited(lambda: self.status(team), lambda status: status.get("state") == state)

    def record(self, record_id: str) -> Item:
        """A record of the registry; empty if there is none."""
        found = self.sandbox.client("dynamodb").get_item(TableName="podshare-registry", Key={"id": {"S": record_id}})
        return from_item(found["Item"]) if "Item" in found else {}

    def state(self, item_id: str, part: str) -> Item:
        """An item of podshare's own table; empty if there is none."""
        found = self.sandbox.client("dynamodb").get_item(
            TableName="podshare-state", Key={"id": {"S": item_id}, "part": {"S": part}}
        )
        return from_item(found["Item"]) if "Item" in found else {}

    def plan(self, team: str, *items: Item) -> Item:
        """The dry run."""
        payload = json.dumps({"team": team, "records": items})
        answer = self.sandbox.client("lambda").invoke(
            FunctionName="podshare-dry-run", Payload=payload.encode(), LogType="Tail"
        )
        found: Item = json.loads(answer["Payload"].read())
        assert "errorMessage" not in found, (found, base64.b64decode(answer["LogResult"]).decode())
        return found

    def executions(self, team: str) -> list[Item]:
        """The executions of a team, newest first, with their outputs."""
        states = self.sandbox.client("stepfunctions")
        machine = f"arn:aws:states:{REGION}:{HUB}:stateMachine:podshare-reconcile-team"
        pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine)
        found = [execution for page in pages for execution in page["executions"]]
        described = [self._described(execution) for execution in found]
        return [execution for execution in described if json.loads(execution["input"])["team"] == team]

    def _described(self, listed: Item) -> Item:
        """An execution as a whole; one that has ended stays what it is, unless it is redriven."""
        end = (listed["executionArn"], listed["status"], listed.get("stopDate"))
        if end in self._ended:
            return self._ended[end]
        found: Item = self.sandbox.client("stepfunctions").describe_execution(executionArn=listed["executionArn"])
        if (found["status"], found.get("stopDate")) == end[1:] and ("output" in found or "cause" in found):
            self._ended[end] = found
        return found

    @contextmanager
    def without_an_add_on(self) -> Iterator[None]:
        """An add-on of cluster ``main`` is missing meanwhile, which withholds whatever would be added there."""
        eks = self.sandbox.client("eks", CLUSTER["account"], REGION)
        add_on = {"clusterName": CLUSTER["eks_cluster"], "addonName": "eks-pod-identity-agent"}
        eks.delete_addon(**add_on)
        yield
        eks.create_addon(**add_on)
        eks.get_waiter("addon_active").wait(**add_on, WaiterConfig={"Delay": 0.05, "MaxAttempts": 200})

    @contextmanager
    def calls(self) -> Iterator[list[str]]:
        """The mutating calls outside of podshare's own table that are made meanwhile, as ``principal action``.

        Those that an AWS service makes by itself, such as Amazon FSx at a bucket, are left out, and what is added to the
        history of who had access, and what is announced.
        """
        before = len(self.sandbox.decisions)
        made: list[str] = []
        yield made
        for decision in self.sandbox.decisions[before:]:
            service, _, name = decision.action.partition(":")
            if "/aws-service-role/" in decision.principal or decision.action == "events:PutEvents":
                continue
            if decision.action == "s3:PutObject" and decision.resource.startswith(f"arn:aws:s3:::{HISTORY}/"):
                continue
            if service not in ("dynamodb", "logs", "states", "lambda", "xray", "sqs") and name.startswith(MUTATING):
                made.append(f"{decision.principal.rpartition('/')[2]} {decision.action}")

    def denied(self) -> list[str]:
        """What podshare's own roles were refused."""
        own = "role/podshare-system/"
        return [
            f"{one.principal.rpartition('/')[2]} {one.action} {one.resource}"
            for one in self.sandbox.decisions
            if not one.allowed and own in one.principal
        ]

    # ---- the organization ----

    @property
    def organizations(self) -> Any:
        """AWS Organizations, as the management account's administrator."""
        return self.sandbox.client("organizations", MANAGEMENT, "us-east-1")

    def create_accounts(self, *names: str, tags: dict[str, str] | None = None) -> list[str]:
        """New accounts in the organization's root, and their ids."""
        given = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
        asked = [
            self.organizations.create_account(AccountName=name, Email=f"{name}@example.com", Tags=given)
            for name in names
        ]
        return [self._created(one["CreateAccountStatus"]["Id"]) for one in asked]

    def _created(self, request: str) -> str:
        created = awaited(
            lambda: self.organizations.describe_create_account_status(CreateAccountRequestId=request),
            lambda found: found["CreateAccountStatus"]["State"] == "SUCCEEDED",
        )
        return str(created["CreateAccountStatus"]["AccountId"])

    def move(self, account: str, to: str, settle: bool = True) -> None:
        """Move an account to another unit."""
        parent = self.organizations.list_parents(ChildId=account)["Parents"][0]["Id"]
        self.organizations.move_account(AccountId=account, SourceParentId=parent, DestinationParentId=to)
        if settle:
            self.sandbox.settle()

    def join(self, name: str, unit: str = SCIENCE, tags: dict[str, str] | None = None) -> str:
        """A new account in a unit, once everything is quiet; its id."""
        (account,) = self.create_accounts(name, tags=tags)
        self.move(account, unit)
        return account

    def accounts(self) -> list[Item]:
        """What podshare knows of the organization's accounts."""
        names = {"#id": "id"}
        found = self.sandbox.client("dynamodb").query(
            TableName="podshare-state",
            KeyConditionExpression="#id = :id AND begins_with(part, :part)",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={":id": {"S": "organization"}, ":part": {"S": "account#"}},
        )
        return [from_item(item) for item in found["Items"]]

    def sweep(self) -> Item:
        """Sweep, and return the execution's output with its status, and its error and cause if it failed."""
        machine = f"arn:aws:states:{REGION}:{HUB}:stateMachine:podshare-sweep-teams"
        states = self.sandbox.client("stepfunctions")
        started = states.start_execution(stateMachineArn=machine, input='{"by": "test"}')
        self.sandbox.settle()
        found = states.describe_execution(executionArn=started["executionArn"])
        output: Item = json.loads(found.get("output", "{}"))
        return {**output, **{name: found[name] for name in ("status", "error", "cause") if name in found}}

    def lifecycles(self) -> list[Item]:
        """The executions that followed events of the organization, newest first, with input and output."""
        machine = f"arn:aws:states:{REGION}:{HUB}:stateMachine:podshare-account-lifecycle"
        states = self.sandbox.client("stepfunctions")
        pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine)
        arns = [execution["executionArn"] for page in pages for execution in page["executions"]]
        described = [states.describe_execution(executionArn=arn) for arn in arns]
        return [
            {
                "status": one["status"],
                "event": json.loads(one["input"])["event"],
                "output": json.loads(one.get("output", "{}")),
            }
            for one in described
        ]

    def works(self, team: str, account: str, service_account: str = "trainer", dataset: str = "imagenet") -> bool:
        """Whether a scientist of the account completes the whole path: assume, submit, read."""
        try:
            submits = self.may_submit(self.cluster_access(team, account), team)
        except (ClientError, LookupError, PermissionError):
            return False
        return submits and self.reads(team, service_account, dataset)

    def reads(self, team: str, service_account: str = "trainer", dataset: str = "imagenet") -> bool:
        """Whether a pod of the team reads an object of a dataset."""
        try:
            point = self.access_point(team, dataset)
            listed = self.pod(team, service_account).client("s3").list_objects_v2(Bucket=point, Prefix=f"{dataset}/")
        except (ClientError, LookupError):
            return False
        return bool(listed.get("Contents"))

    # ---- scientists ----

    def session(self, role_arn: str, via: boto3.Session, name: str = "ada") -> boto3.Session:
        """Assume a role. Raises ClientError AccessDenied where its trust, or the caller's policies, say no."""
        credentials = via.client("sts", region_name=REGION).assume_role(RoleArn=role_arn, RoleSessionName=name)
        keys = credentials["Credentials"]
        return self.sandbox.session_of(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], REGION)

    def scientist(self, team: str, account: str, role: str = "") -> boto3.Session:
        """A session of the team's scientist role in an account, or of the account's own ``role``."""
        name = role or f"podshare/podshare-{team}-scientist"
        return self.session(f"arn:aws:iam::{account}:role/{name}", self.sandbox.session(account, REGION))

    def cluster_access(self, team: str, account: str, member: str = "") -> boto3.Session:
        """A scientist's session of the member's own cluster access role."""
        return self.session(self.cluster_access_role(team, member or account), self.scientist(team, account))

    def cluster_access_role(self, team: str, member: str) -> str:
        """The ARN of the cluster access role of a member, found by its tags."""
        iam = self.sandbox.client("iam", HUB)
        for role in iam.list_roles(PathPrefix="/podshare/")["Roles"]:
            tags = {tag["Key"]: tag["Value"] for tag in iam.list_role_tags(RoleName=role["RoleName"])["Tags"]}
            if tags.get("podshare:team") == team and tags.get("podshare:member") == member:
                return str(role["Arn"])
        raise LookupError(f"no cluster access role of {team} for {member}")

    def may(self, session: boto3.Session, verb: str, group: str, resource: str, namespace: str) -> bool:
        """What the cluster answers to a scientist's access review. Raises PermissionError if it lets nobody in."""
        return answered(self.kubernetes(session), verb, group, resource, namespace)

    def may_submit(self, session: boto3.Session, team: str) -> bool:
        """Whether a PyTorchJob may be created in a team's namespace."""
        return self.may(session, "create", "kubeflow.org", "pytorchjobs", f"hyperpod-ns-{team}")

    def kubernetes(self, session: boto3.Session) -> lightkube.Client:
        """A scientist's kubectl: an EKS token of the session, against the cluster's real address."""
        frozen = session.get_credentials()
        assert frozen is not None
        keys = frozen.get_frozen_credentials()
        assert keys.access_key
        assert keys.secret_key
        assert keys.token
        names = {"AccessKeyId": keys.access_key, "SecretAccessKey": keys.secret_key, "SessionToken": keys.token}
        cluster = self.sandbox.client("eks", HUB).describe_cluster(name="hyperpod-eks")["cluster"]
        return lightkube.Client(
            config=SingleConfig(
                context_name="hyperpod-eks",
                context=Context(cluster="hyperpod-eks", user="scientist"),
                cluster=Cluster(
                    server=cluster["endpoint"], certificate_auth_data=cluster["certificateAuthority"]["data"]
                ),
                user=User(token=token(names, REGION, "hyperpod-eks")),
            ),
            proxy=self.sandbox.url,
            timeout=httpx2.Timeout(20),
        )

    # ---- pods ----

    def run_pod(self, team: str, service_account: str, name: str = "worker-0") -> None:
        """Let a pod of the team run under a service account."""
        api = kubernetes.api_of(EKS_ARN)
        if api.get("Pod", f"hyperpod-ns-{team}", name) is None:
            api.run_pod(f"hyperpod-ns-{team}", name, service_account)

    def end_pods(self, team: str) -> None:
        """Let all pods of a team come to their end: a deleted team is not gone before."""
        api = kubernetes.api_of(EKS_ARN)
        for pod in api.objects("Pod", f"hyperpod-ns-{team}"):
            api.delete("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])

    def pod(self, team: str, service_account: str) -> boto3.Session:
        """A session with what EKS Pod Identity gives to a pod of the team, which it may use when the pod has ended."""
        name, namespace = f"{service_account}-0", f"hyperpod-ns-{team}"
        self.run_pod(team, service_account, name)
        found = pod_identity.credentials_of_pod(EKS_ARN, namespace, service_account, name)
        kubernetes.api_of(EKS_ARN).delete("Pod", namespace, name)
        return self.sandbox.session_of(found.access_key, found.secret_key, found.token, REGION)

    def access_point(self, team: str, dataset: str) -> str:
        """The ARN of a team's access point for a dataset, found by its tags."""
        s3control = self.sandbox.client("s3control", DATA)
        for point in s3control.list_access_points(AccountId=DATA)["AccessPointList"]:
            arn = str(point["AccessPointArn"])
            listed = s3control.list_tags_for_resource(AccountId=DATA, ResourceArn=arn)["Tags"]
            tags = {tag["Key"]: tag["Value"] for tag in listed}
            if tags.get("podshare:team") == team and tags.get("podshare:dataset") == dataset:
                return arn
        raise LookupError(f"no access point of {team} for {dataset}")

    def leftovers(self) -> list[str]:
        """Everything of podshare's in any account, but for its stacks and its tables."""
        found: list[str] = []
        for account in (HUB, VISION, LANGUAGE, DATA):
            iam = self.sandbox.client("iam", account)
            found += [role["Arn"] for role in iam.list_roles(PathPrefix="/podshare/")["Roles"]]
            others = [role for role in iam.list_roles()["Roles"] if "/podshare-system/" not in role["Path"]]
            for role in others:
                attached = iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]
                found += [f"{role['Arn']} {one['PolicyName']}" for one in attached if "podshare" in one["PolicyName"]]
            published = self.sandbox.client("ssm", account).get_parameters_by_path(Path="/podshare/teams")
            found += [f"{account} {parameter['Name']}" for parameter in published["Parameters"]]
        eks = self.sandbox.client("eks", HUB)
        entries = eks.list_access_entries(clusterName="hyperpod-eks")["accessEntries"]
        found += [arn for arn in entries if ":role/podshare/" in arn]
        found += [
            one["associationId"]
            for one in eks.list_pod_identity_associations(clusterName="hyperpod-eks")["associations"]
        ]
        points = self.sandbox.client("s3control", DATA).list_access_points(AccountId=DATA)["AccessPointList"]
        found += [point["Name"] for point in points]
        found += [grant["Name"] for grant in self.sandbox.client("kms", DATA).list_grants(KeyId=KMS_KEY)["Grants"]]
        found += [
            statement.get("Sid", "")
            for bucket in (IMAGES, TEXT, SCANS)
            for statement in self.bucket_statements(bucket)
            if "podshare" in statement.get("Sid", "")
        ]
        quotas = self.sandbox.client("sagemaker", HUB).list_compute_quotas()["ComputeQuotaSummaries"]
        found += [quota["Name"] for quota in quotas if quota["Status"] != "Deleted"]
        links = self.sandbox.client("fsx", HUB).describe_data_repository_associations()["Associations"]
        found += [link["FileSystemPath"] for link in links]
        found += [volume["metadata"]["name"] for volume in kubernetes.api_of(EKS_ARN).objects("PersistentVolume")]
        configs = self.sandbox.client("sagemaker", HUB).list_cluster_scheduler_configs()
        return found + [config["Name"] for config in configs["ClusterSchedulerConfigSummaries"]]

    def bucket_statements(self, bucket: str) -> list[Item]:
        """The statements of a bucket's policy."""
        try:
            policy = self.sandbox.client("s3", DATA).get_bucket_policy(Bucket=bucket)["Policy"]
        except ClientError:
            return []
        statements: list[Item] = json.loads(policy)["Statement"]
        return statements


def answered(kubectl: lightkube.Client, verb: str, group: str, resource: str, namespace: str) -> bool:
    """What the cluster answers to an access review of whoever uses ``kubectl``. Raises PermissionError as above."""
    spec = SelfSubjectAccessReviewSpec(
        resourceAttributes=ResourceAttributes(verb=verb, group=group, resource=resource, namespace=namespace)
    )
    try:
        review = kubectl.create(SelfSubjectAccessReview(spec=spec))
    except ApiError as error:
        raise PermissionError(error.status.message) from error
    return bool(review.status and review.status.allowed)


def awaited(look: Callable[[], Seen], holds: Callable[[Seen], object] = bool, pause: float = 0.05) -> Seen:
    """What there is to see once it is so, where executions go on and nothing settles.

    Raises TimeoutError after five minutes, which no machine is too slow for.
    """
    deadline = time.monotonic() + 300
    while not holds(seen := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not come to hold: {seen}")
        time.sleep(pause)
    return seen


def refused(call: Any) -> bool:
    """Whether a call is refused for want of permission, and by nothing else."""
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "403"), error
        return True
    except PermissionError:
        return True
    return False
