"""The deployer: what it creates, changes and deletes, and what it refuses."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from podshare_sandbox.cloudformation import Export, Stack, StackError, TemplateError
from podshare_sandbox.cloudformation.resources import RESOURCE_TYPES
from podshare_sandbox.services import athena, iam

ACCOUNT = "123456789012"  # moto's default, which its own credentials belong to
REGION = "us-west-2"
EVERYTHING = Path(__file__).parent / "fixtures" / "everything.yaml"


_SESSION: Any = boto3.Session("key", "secret", region_name=REGION)


class Deployer:
    """Deploys templates of one account; ``code`` is what was registered as a function's code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.code: dict[str, Path] = {}
        self.exports: dict[str, Export] = {}

    @staticmethod
    @cache
    def client(service: str) -> Any:
        """A client, made once for all tests; it finds whatever moto holds at the time."""
        return _SESSION.client(service)

    def stack(self, name: str = "demo") -> Stack:
        """A stack that has not been deployed."""
        return Stack(
            name, ACCOUNT, REGION, client=self.client, register_code=self.code.__setitem__, exports=self.exports
        )

    def template(self, text: str) -> Path:
        """A template with this text."""
        path = self.folder / "template.yaml"
        path.write_text(text)
        return path


@pytest.fixture
def deployer(tmp_path: Path) -> Iterator[Deployer]:
    """A deployer over an empty moto, whose IAM takes policies without a Version as AWS does."""
    iam.install()
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        yield Deployer(tmp_path)


@pytest.fixture
def everything(deployer: Deployer) -> tuple[Deployer, Stack]:
    """The template with each resource type once, deployed."""
    stack = deployer.stack()
    stack.deploy(EVERYTHING)
    return deployer, stack


Evaluate = Callable[[str], str]


@pytest.fixture
def evaluate(deployer: Deployer) -> Evaluate:
    """Evaluates an expression as the value of an output, in a template with parameters, a map and conditions."""

    def value(expression: str) -> str:
        path = deployer.template(
            f"""
            Parameters:
              Word: {{Type: String, Default: deep}}
              Words: {{Type: CommaDelimitedList, Default: "red, green,blue"}}
              Count: {{Type: Number, Default: 3}}
            Mappings: {{Colors: {{us-west-2: {{warm: orange}}}}}}
            Conditions:
              Deep: !Equals [!Ref Word, deep]
              Shallow: !Not [!Condition Deep]
              Both: !And [!Condition Deep, !Condition Shallow]
              Either: !Or [!Condition Deep, !Condition Shallow]
            Resources: {{Queue: {{Type: AWS::SQS::Queue, Properties: {{QueueName: work}}}}}}
            Outputs: {{Value: {{Value: {expression}}}}}
            """
        )
        return deployer.stack().deploy(path)["Value"]

    return value


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('!Sub "${Word}-${AWS::Region}-${AWS::AccountId}"', f"deep-us-west-2-{ACCOUNT}"),
        ('!Sub ["${A}/${!Literal}/${Queue.QueueName}", {A: !Ref Count}]', "3/${Literal}/work"),
        ('!Join [":", !Ref Words]', "red:green:blue"),
        ("!Select [1, !Ref Words]", "green"),
        ('!Select [0, !Split ["-", a-b]]', "a"),
        ('!FindInMap [Colors, !Ref "AWS::Region", warm]', "orange"),
        ("!If [Deep, yes-it-is, !Ref Nowhere]", "yes-it-is"),
        ('!Join ["", [a, !If [Shallow, b, !Ref "AWS::NoValue"], c]]', "ac"),
        ("!If [Both, both, !If [Either, either, neither]]", "either"),
        ("!GetAtt Queue.Arn", f"arn:aws:sqs:us-west-2:{ACCOUNT}:work"),
        ("{'Fn::GetAtt': [Queue, QueueName]}", "work"),
    ],
)
def test_intrinsic_functions(evaluate: Evaluate, expression: str, expected: str) -> None:
    """Each intrinsic function has the value that CloudFormation documents."""
    assert evaluate(expression) == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("!Ref Nowhere", "Unresolved resource dependencies"),
        ("!GetAtt Queue.Color", "attribute Color of Queue"),
        ('!Sub "${Nowhere}"', "Unresolved resource dependencies"),
        ('!Sub "${Words}"', "expected a string"),
        ("!If [Nowhere, a, b]", "Unresolved condition"),
        ("!Select [9, !Ref Words]", "cannot select"),
        ("!FindInMap [Colors, mars, warm]", "Unable to get mapping"),
        ("!ImportValue nobodys", "No export named nobodys"),
        ("!Base64 text", "Fn::Base64 is not emulated"),
        ("{'Fn::ForEach::Loop': [X, [a], {}]}", "Fn::ForEach::Loop is not emulated"),
        ("{Ref: Word, Beside: it}", "must stand alone"),
    ],
)
def test_unknown_expressions_are_refused(evaluate: Evaluate, expression: str, message: str) -> None:
    """What cannot be evaluated is an error that says why, never a guess."""
    with pytest.raises(TemplateError, match=message):
        evaluate(expression)


@pytest.mark.parametrize(
    ("rule", "value", "message"),
    [
        ("Type: String, AllowedPattern: '[a-z]+'", "A1", "must match pattern"),
        ("Type: String, AllowedPattern: '[a-z]+', ConstraintDescription: lower case", "A1", "lower case"),
        ("Type: CommaDelimitedList, AllowedPattern: '[a-z]+'", "ab,C", "must match pattern"),
        ("Type: String, AllowedValues: [a, b]", "c", "must be one of a, b"),
        ("Type: String, MaxLength: 3", "abcd", "at most 3 characters"),
        ("Type: String, MinLength: 3", "ab", "at least 3 characters"),
        ("Type: Number", "two", "must be a number"),
        ("Type: Number, MinValue: 2", "1", "at least 2"),
        ("Type: Number, MaxValue: 2", "3", "at most 2"),
        ("Type: 'AWS::EC2::VPC::Id'", "vpc-1", "is not emulated"),
    ],
)
def test_parameter_constraints(deployer: Deployer, rule: str, value: str, message: str) -> None:
    """A parameter outside its declared constraint is refused before anything is created."""
    path = deployer.template(f"Parameters: {{P: {{{rule}}}}}\nResources: {{Queue: {{Type: AWS::SQS::Queue}}}}")
    with pytest.raises(TemplateError, match=message):
        deployer.stack().deploy(path, {"P": value})
    assert "QueueUrls" not in deployer.client("sqs").list_queues()


def test_parameters_must_be_declared_and_given(deployer: Deployer) -> None:
    """A parameter that the template lacks, and one without any value, are refused by name."""
    path = deployer.template("Parameters: {P: {Type: String}}\nResources: {Queue: {Type: AWS::SQS::Queue}}")
    with pytest.raises(TemplateError, match=r"\[P\] must have values"):
        deployer.stack().deploy(path)
    with pytest.raises(TemplateError, match=r"\[Q\] do not exist in the template"):
        deployer.stack().deploy(path, {"P": "a", "Q": "b"})


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("Resources: {A: {Type: AWS::EC2::VPC}}", "resource types not emulated: AWS::EC2::VPC"),
        ("Resources: {A: {Type: AWS::SQS::Queue, UpdatePolicy: {}}}", "UpdatePolicy"),
        ("Resources: {A: {Type: AWS::SQS::Queue}}\nRules: {}", "sections not emulated: Rules"),
        ("Resources: {A: {Type: AWS::SQS::Queue}}\nTransform: AWS::LanguageExtensions", "transforms not emulated"),
        ("Resources: {A: {Type: AWS::SQS::Queue}, A: {Type: AWS::SQS::Queue}}", "duplicate key A"),
        ("Resources: {A: {Type: AWS::SQS::Queue, DependsOn: B}}", r"dependencies \[B\]"),
        ("Resources: {A: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref B}}}", r"dependencies \[B\]"),
        ("Resources: {A: {Type: AWS::Serverless::Function, Properties: {}}}", "resource types not emulated"),
        ("Transform: AWS::Serverless-2016-10-31\nResources: {A: {Type: AWS::Serverless::Api}}", "SAM transform failed"),
        ("Resources: {}", "at least one Resources member"),
    ],
)
def test_templates_that_cannot_be_honoured_are_refused(deployer: Deployer, template: str, message: str) -> None:
    """Nothing in a template is skipped: what the deployer does not know is an error."""
    with pytest.raises(TemplateError, match=message):
        deployer.stack().deploy(deployer.template(template))


def test_cycle_names_its_members(deployer: Deployer) -> None:
    """A circular dependency is refused, naming the resources in it and no other."""
    path = deployer.template(
        """
        Resources:
          A: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref B}}
          B: {Type: AWS::SQS::Queue, DependsOn: C}
          C: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub "${A.Arn}"}}
          D: {Type: AWS::SQS::Queue, DependsOn: A}
        """
    )
    with pytest.raises(TemplateError, match=r"between resources: \[A, B, C\]"):
        deployer.stack().deploy(path)


def test_each_resource_type_deploys(everything: tuple[Deployer, Stack]) -> None:
    """The template with every supported type creates one resource of each, and only honest gaps are listed."""
    _, stack = everything
    untested = {"AWS::EKS::AccessEntry"}  # needs a cluster: tested with the organization
    assert {resource.type for resource in stack.resources.values()} == set(RESOURCE_TYPES) - untested
    assert stack.not_emulated == ["AWS::Lambda::Function Plain: FileSystemConfigs"]
    assert "Absent" not in stack.resources
    assert "Absent" not in stack.outputs


def test_table_has_all_its_settings(everything: tuple[Deployer, Stack]) -> None:
    """Stream, recovery, encryption, expiry, index, tags and deletion protection of a table are what was written."""
    deployer, stack = everything
    dynamodb = deployer.client("dynamodb")
    table = dynamodb.describe_table(TableName="demo-registry")["Table"]
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert table["DeletionProtectionEnabled"] is True
    assert table["SSEDescription"]["Status"] == "ENABLED"
    assert table["GlobalSecondaryIndexes"][0]["IndexName"] == "team"
    backups = dynamodb.describe_continuous_backups(TableName="demo-registry")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    expiry = dynamodb.describe_time_to_live(TableName="demo-registry")["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
    assert stack.resources["Table"].physical.attributes["StreamArn"] == table["LatestStreamArn"]


def test_role_has_all_its_settings(everything: tuple[Deployer, Stack]) -> None:
    """Path, session duration, boundary, tags, inline and managed policies of a role are what was written."""
    iam = everything[0].client("iam")
    role = iam.get_role(RoleName="demo-reader")["Role"]
    assert role["Path"] == "/demo/"
    assert role["MaxSessionDuration"] == 7200
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith(":policy/demo/demo-boundary")
    assert role["Tags"] == [{"Key": "demo:kind", "Value": "reader"}]
    assert iam.list_role_policies(RoleName="demo-reader")["PolicyNames"] == ["read", "extra"]
    attached = iam.list_attached_role_policies(RoleName="demo-reader")["AttachedPolicies"]
    assert [one["PolicyName"] for one in attached] == ["ReadOnlyAccess"]


def test_a_locked_bucket_retains_what_is_put_in(everything: tuple[Deployer, Stack]) -> None:
    """Object Lock is on with the template's default retention, versioning with it, and ACLs are off."""
    s3 = everything[0].client("s3")
    lock = s3.get_object_lock_configuration(Bucket="demo-locked")["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"]["Mode"] == "GOVERNANCE"
    assert lock["Rule"]["DefaultRetention"]["Days"] == 7
    assert s3.get_bucket_versioning(Bucket="demo-locked")["Status"] == "Enabled"
    (rule,) = s3.get_bucket_ownership_controls(Bucket="demo-locked")["OwnershipControls"]["Rules"]
    assert rule == {"ObjectOwnership": "BucketOwnerEnforced"}


def test_tables_and_workgroups_are_there_until_the_stack_goes(deployer: Deployer) -> None:
    """A Glue table has its columns, its partition and where its data is; a deleted stack leaves no catalog."""
    stack = deployer.stack()
    stack.deploy(EVERYTHING, {"Protect": "false"})
    glue, queries = deployer.client("glue"), deployer.client("athena")
    table = glue.get_table(DatabaseName="demo", Name="lines")["Table"]
    assert table["StorageDescriptor"]["Columns"] == [{"Name": "id", "Type": "string"}]
    assert table["StorageDescriptor"]["Location"] == "s3://demo-locked/"
    assert table["PartitionKeys"] == [{"Name": "date", "Type": "string"}]
    assert "demo" in [group["Name"] for group in queries.list_work_groups()["WorkGroups"]]
    athena.install()
    with pytest.raises(NotImplementedError, match="runs no queries"):  # moto makes their results up
        queries.start_query_execution(WorkGroup="demo", QueryString="SELECT 1")
    stack.delete()
    assert glue.get_databases()["DatabaseList"] == []
    assert "demo" not in [group["Name"] for group in queries.list_work_groups()["WorkGroups"]]


def test_function_runs_from_its_code_folder(everything: tuple[Deployer, Stack]) -> None:
    """A SAM function and a plain one are registered with the folder that CodeUri and Code name."""
    deployer, stack = everything
    folders = {deployer.code[stack.resources[name].physical.attributes["Arn"]] for name in ("Echo", "Plain")}
    assert {folder.resolve() for folder in folders} == {EVERYTHING.parent / "functions"}
    configuration = deployer.client("lambda").get_function_configuration(FunctionName="demo-echo")
    assert configuration["Environment"] == {"Variables": {"TABLE": "demo-registry"}}
    assert configuration["MemorySize"] == 256
    assert configuration["Timeout"] == 30


def test_function_events_become_mappings_and_rules(everything: tuple[Deployer, Stack]) -> None:
    """SAM's DynamoDB and EventBridgeRule events keep their filter, retries and dead-letter queue."""
    deployer, stack = everything
    mappings = deployer.client("lambda").list_event_source_mappings(FunctionName="demo-echo")["EventSourceMappings"]
    assert mappings[0]["EventSourceArn"] == stack.resources["Table"].physical.attributes["StreamArn"]
    assert mappings[0]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    rule = stack.resources["EchoJoined"].physical.ref.removeprefix("demo|")
    target = deployer.client("events").list_targets_by_rule(Rule=rule, EventBusName="demo")["Targets"][0]
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 2}
    assert target["DeadLetterConfig"]["Arn"] == stack.resources["DeadLetters"].physical.attributes["Arn"]


def test_state_machine_definition_is_substituted(everything: tuple[Deployer, Stack]) -> None:
    """A YAML definition becomes JSON, with numbers substituted as numbers and JSONata left alone."""
    deployer, stack = everything
    machine = deployer.client("stepfunctions").describe_state_machine(stateMachineArn=stack.outputs["Machine"])
    echo = json.loads(machine["definition"])["States"]["Echo"]
    assert echo["TimeoutSeconds"] == 60
    assert echo["Arguments"] == {
        "FunctionName": stack.resources["Echo"].physical.attributes["Arn"],
        "Payload": "{% $states.input %}",
    }
    assert machine["loggingConfiguration"]["level"] == "ALL"


def test_unresolved_substitution_is_refused(deployer: Deployer) -> None:
    """A placeholder that nothing substitutes is an error that names it."""
    (deployer.folder / "machine.asl.yaml").write_text("Comment: ${Missing} ${Given}\nStartAt: A\nStates: {}\n")
    path = deployer.template(
        """
        Transform: AWS::Serverless-2016-10-31
        Resources:
          Machine:
            Type: AWS::Serverless::StateMachine
            Properties:
              DefinitionUri: machine.asl.yaml
              DefinitionSubstitutions: {Given: here}
              Role: !Sub arn:aws:iam::${AWS::AccountId}:role/any
        """
    )
    with pytest.raises(StackError, match="DefinitionSubstitutions lack Missing"):
        deployer.stack().deploy(path)


def test_refused_call_names_the_resource(deployer: Deployer) -> None:
    """What the API refuses ends the deployment with the resource and the API's error."""
    path = deployer.template(
        "Resources: {Permission: {Type: AWS::Lambda::Permission, Properties: "
        "{Action: 'lambda:InvokeFunction', FunctionName: absent, Principal: events.amazonaws.com}}}"
    )
    with pytest.raises(StackError, match=r"AWS::Lambda::Permission Permission: .*ResourceNotFoundException"):
        deployer.stack().deploy(path)


def test_missing_property_is_named(deployer: Deployer) -> None:
    """A required property that is not written is an error that names it."""
    path = deployer.template("Resources: {Table: {Type: AWS::S3::BucketPolicy, Properties: {PolicyDocument: {}}}}")
    with pytest.raises(StackError, match="AWS::S3::BucketPolicy Table: property Bucket is required"):
        deployer.stack().deploy(path)


def test_member_that_the_api_lacks_is_refused(deployer: Deployer) -> None:
    """A misspelt member deep inside a property is an error, as it is in CloudFormation."""
    path = deployer.template(
        "Resources: {Rule: {Type: AWS::Events::Rule, Properties: {ScheduleExpression: rate(1 day), "
        "Targets: [{Id: a, Arn: 'arn:aws:sqs:us-west-2:123456789012:q', RetryPolicies: {}}]}}}"
    )
    with pytest.raises(StackError, match="unsupported property RetryPolicies"):
        deployer.stack().deploy(path)


def test_update_changes_only_what_differs(deployer: Deployer) -> None:
    """An update keeps each physical resource, applies changed parameters, and keeps those that are not given."""
    stack = deployer.stack()
    stack.deploy(EVERYTHING, {"Prefix": "one", "Retention": "7"})
    before = {name: resource.physical.ref for name, resource in stack.resources.items()}
    stack.deploy(EVERYTHING, {"Retention": "30", "Protect": "false", "Groups": "admins"})
    assert {name: resource.physical.ref for name, resource in stack.resources.items()} == before
    group = deployer.client("logs").describe_log_groups(logGroupNamePrefix="/aws/vendedlogs/states/one")
    assert group["logGroups"][0]["retentionInDays"] == 30
    table = deployer.client("dynamodb").describe_table(TableName="one-registry")["Table"]
    assert table["DeletionProtectionEnabled"] is False
    assert table["StreamSpecification"]["StreamEnabled"] is True
    assert deployer.client("ssm").get_parameter(Name="/one/groups")["Parameter"]["Value"] == "admins"
    assert stack.outputs["FirstGroup"] == "admins"


_CHANGEABLE = """
Parameters: {{Action: {{Type: String}}}}
Resources:
  Queue: {{Type: AWS::SQS::Queue}}
  Function:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: changing
      Handler: app.handler
      Runtime: python3.13
      Code: .
      Role: !GetAtt Role.Arn
      Timeout: 10
      Environment: {{Variables: {{ACTION: !Ref Action}}}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: {role}
      AssumeRolePolicyDocument:
        Version: 2012-10-17
        Statement: [{{Effect: Allow, Principal: {{Service: lambda.amazonaws.com}}, Action: "sts:AssumeRole"}}]
      Policies:
        - PolicyName: {policy}
          PolicyDocument:
            Version: 2012-10-17
            Statement: [{{Effect: Allow, Action: !Ref Action, Resource: "*"}}]
  Shared:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument:
        Version: 2012-10-17
        Statement: [{{Effect: Allow, Action: !Ref Action, Resource: "*"}}]
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {{source: [!Ref Action]}}
      Targets: [{{Id: {policy}, Arn: !GetAtt Queue.Arn}}]
"""


def test_update_of_roles_policies_functions_and_rules(deployer: Deployer) -> None:
    """Changed documents, variables and targets take effect in place, and what is no longer written is removed."""
    stack = deployer.stack()
    stack.deploy(deployer.template(_CHANGEABLE.format(role="r", policy="first")), {"Action": "sqs:GetQueueUrl"})
    for action in ("sqs:SendMessage", "sqs:ListQueues", "sqs:DeleteMessage", "sns:Publish", "s3:GetObject"):
        stack.deploy(deployer.template(_CHANGEABLE.format(role="r", policy="second")), {"Action": action})
    iam = deployer.client("iam")
    assert iam.list_role_policies(RoleName="r")["PolicyNames"] == ["second"]
    inline = iam.get_role_policy(RoleName="r", PolicyName="second")["PolicyDocument"]
    assert inline["Statement"][0]["Action"] == "s3:GetObject"
    arn = stack.resources["Shared"].physical.ref
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    managed = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    assert managed["Statement"][0]["Action"] == "s3:GetObject"
    function = deployer.client("lambda").get_function_configuration(FunctionName="changing")
    assert function["Environment"]["Variables"] == {"ACTION": "s3:GetObject"}
    rule = stack.resources["Rule"].physical.ref
    events = deployer.client("events")
    assert json.loads(events.describe_rule(Name=rule)["EventPattern"]) == {"source": ["s3:GetObject"]}
    assert [target["Id"] for target in events.list_targets_by_rule(Rule=rule)["Targets"]] == ["second"]


_TAGGED = """
Resources:
  Queue: {Type: AWS::SQS::Queue, Properties: {Tags: TAGS}}
  Topic: {Type: AWS::SNS::Topic, Properties: {Tags: TAGS}}
  Group: {Type: AWS::Logs::LogGroup, Properties: {Tags: TAGS}}
  Bus: {Type: AWS::Events::EventBus, Properties: {Name: tagged, Tags: TAGS}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      Tags: TAGS
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: "sts:AssumeRole"}]
  Function:
    Type: AWS::Lambda::Function
    Properties: {Handler: app.handler, Runtime: python3.13, Code: ., Role: !GetAtt Role.Arn, Tags: TAGS}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      Tags: TAGS
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
"""


def test_update_of_tags(deployer: Deployer) -> None:
    """New tags are set and those that are no longer written are removed, whatever shape the service wants."""
    stack = deployer.stack()
    stack.deploy(deployer.template(_TAGGED.replace("TAGS", "[{Key: a, Value: '1'}, {Key: b, Value: '1'}]")))
    stack.deploy(deployer.template(_TAGGED.replace("TAGS", "[{Key: b, Value: '2'}, {Key: c, Value: '2'}]")))
    ref = {name: resource.physical.ref for name, resource in stack.resources.items()}
    arn = {name: resource.physical.attributes.get("Arn", "") for name, resource in stack.resources.items()}
    client = deployer.client
    as_list = [{"Key": "b", "Value": "2"}, {"Key": "c", "Value": "2"}]
    as_map = {"b": "2", "c": "2"}
    assert client("sqs").list_queue_tags(QueueUrl=ref["Queue"])["Tags"] == as_map
    assert client("sns").list_tags_for_resource(ResourceArn=ref["Topic"])["Tags"] == as_list
    assert client("logs").list_tags_for_resource(resourceArn=arn["Group"].removesuffix(":*"))["tags"] == as_map
    assert client("events").list_tags_for_resource(ResourceARN=arn["Bus"])["Tags"] == as_list
    assert client("iam").list_role_tags(RoleName=ref["Role"])["Tags"] == as_list
    assert client("lambda").list_tags(Resource=arn["Function"])["Tags"] == as_map
    assert client("dynamodb").list_tags_of_resource(ResourceArn=arn["Table"])["Tags"] == as_list


def test_replacement_makes_the_new_before_the_old_goes(deployer: Deployer) -> None:
    """A new name makes a new role, moves what refers to it, and deletes the old role."""
    stack = deployer.stack()
    for role in ("old", "new"):
        stack.deploy(deployer.template(_CHANGEABLE.format(role=role, policy="p")), {"Action": "s3:GetObject"})
    assert [role["RoleName"] for role in deployer.client("iam").list_roles()["Roles"]] == ["new"]
    function = deployer.client("lambda").get_function_configuration(FunctionName="changing")
    assert function["Role"] == f"arn:aws:iam::{ACCOUNT}:role/new"


def test_custom_name_cannot_be_replaced(deployer: Deployer) -> None:
    """A change that needs a replacement is refused while the template fixes the name."""
    template = (
        "Resources: {{R: {{Type: AWS::IAM::ManagedPolicy, Properties: {{ManagedPolicyName: p, Path: {path}, "
        "PolicyDocument: {{Version: 2012-10-17, Statement: "
        "[{{Effect: Allow, Action: 's3:GetObject', Resource: '*'}}]}}}}}}}}"
    )
    stack = deployer.stack()
    stack.deploy(deployer.template(template.format(path="/a/")))
    with pytest.raises(StackError, match="custom-named resource requires replacing"):
        stack.deploy(deployer.template(template.format(path="/b/")))


def test_resource_that_leaves_the_template_is_deleted(deployer: Deployer) -> None:
    """An update deletes what the template no longer has, in reverse order."""
    stack = deployer.stack()
    both = "Resources: {A: {Type: AWS::SQS::Queue}, B: {Type: AWS::SQS::Queue, DependsOn: A}}"
    stack.deploy(deployer.template(both))
    stack.deploy(deployer.template("Resources: {A: {Type: AWS::SQS::Queue}}"))
    assert deployer.client("sqs").list_queues()["QueueUrls"] == [stack.resources["A"].physical.ref]


def test_failed_deployment_goes_on_when_deployed_again(deployer: Deployer) -> None:
    """After a failure what exists is kept, is not created twice, and can be deleted."""
    stack = deployer.stack()
    broken = (
        "Resources: {A: {Type: AWS::SQS::Queue}, B: {Type: AWS::SNS::Subscription, DependsOn: A, "
        "Properties: {TopicArn: 'arn:aws:sns:us-west-2:123456789012:none', Protocol: sqs, Endpoint: x}}}"
    )
    with pytest.raises(StackError, match="B"):
        stack.deploy(deployer.template(broken))
    first = stack.resources["A"].physical.ref
    stack.deploy(deployer.template("Resources: {A: {Type: AWS::SQS::Queue}}"))
    assert deployer.client("sqs").list_queues()["QueueUrls"] == [first]
    stack.delete()
    assert "QueueUrls" not in deployer.client("sqs").list_queues()


def test_deletion_refuses_a_protected_table(everything: tuple[Deployer, Stack]) -> None:
    """Deletion protection ends a deletion, after which the stack can be deleted but not updated."""
    deployer, stack = everything
    with pytest.raises(StackError, match="AWS::DynamoDB::Table Table"):
        stack.delete()
    with pytest.raises(StackError, match="DELETE_FAILED state and can not be updated"):
        stack.deploy(EVERYTHING, {"Protect": "false"})
    deployer.client("dynamodb").update_table(TableName="demo-registry", DeletionProtectionEnabled=False)
    stack.delete()
    assert deployer.client("dynamodb").list_tables()["TableNames"] == []


def test_deletion_leaves_only_what_is_retained(everything: tuple[Deployer, Stack]) -> None:
    """A deleted stack leaves nothing behind but what its DeletionPolicy retains."""
    deployer, stack = everything
    stack.deploy(EVERYTHING, {"Protect": "false"})
    stack.delete()
    assert stack.resources == {}
    assert deployer.client("dynamodb").list_tables()["TableNames"] == []
    assert deployer.client("iam").list_roles()["Roles"] == []
    assert deployer.client("iam").list_policies(Scope="Local")["Policies"] == []
    assert deployer.client("lambda").list_functions()["Functions"] == []
    assert deployer.client("events").list_rules()["Rules"] == []
    assert len(deployer.client("s3").list_buckets()["Buckets"]) == 1


def test_deletion_goes_as_far_as_it_can(deployer: Deployer) -> None:
    """What cannot be deleted stays with the stack, and what it needs; all else goes, and a further try ends it."""
    stack = deployer.stack()
    trust = '{Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: "sts:AssumeRole"}]}'
    stack.deploy(
        deployer.template(
            f"""
            Resources:
              Needed: {{Type: AWS::SQS::Queue, Properties: {{QueueName: needed}}}}
              Policy:
                Type: AWS::IAM::ManagedPolicy
                Properties:
                  ManagedPolicyName: in-use
                  PolicyDocument: {{Statement: [{{Effect: Allow, Action: "sqs:*", Resource: !GetAtt Needed.Arn}}]}}
              Role: {{Type: AWS::IAM::Role, Properties: {{AssumeRolePolicyDocument: {trust}}}}}
              Other: {{Type: AWS::SQS::Queue, Properties: {{QueueName: other}}}}
            """
        )
    )
    iam, policy = deployer.client("iam"), stack.resources["Policy"].physical.ref
    iam.create_user(UserName="somebody")
    iam.attach_user_policy(UserName="somebody", PolicyArn=policy)

    with pytest.raises(StackError, match="AWS::IAM::ManagedPolicy Policy"):
        stack.delete()
    assert stack.resources.keys() == {"Needed", "Policy"}

    iam.detach_user_policy(UserName="somebody", PolicyArn=policy)
    stack.delete()
    assert stack.resources == {}


def test_exports_belong_to_one_stack(deployer: Deployer) -> None:
    """Another stack may import an export, but not export the same name; it ends with its stack."""
    exporting = (
        "Resources: {A: {Type: AWS::SQS::Queue, Properties: {QueueName: QUEUE}}}\n"
        "Outputs: {Name: {Value: !GetAtt A.QueueName, Export: {Name: shared}}}"
    )
    importing = "Resources: {A: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: !ImportValue shared}}}"
    first = deployer.stack("first")
    first.deploy(deployer.template(exporting.replace("QUEUE", "one")))
    importer = deployer.stack("importer")
    importer.deploy(deployer.template(importing))
    assert importer.resources["A"].physical.attributes["Value"] == "one"
    with pytest.raises(StackError, match="already exported by stack first"):
        deployer.stack("second").deploy(deployer.template(exporting.replace("QUEUE", "two")))
    first.delete()
    with pytest.raises(TemplateError, match="No export named shared"):
        importer.deploy(deployer.template(importing))
