"""What carries messages and events: SQS, SNS, EventBridge and its Scheduler."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from podshare_sandbox.cloudformation.resources.base import Physical, Resource, tag_map


class Queue(Resource):
    type = "AWS::SQS::Queue"
    name_property = "QueueName"
    name_limit = 80
    replaced_by = frozenset({"QueueName", "FifoQueue"})

    _ATTRIBUTES: Mapping[str, Any] = {
        "ContentBasedDeduplication": False,
        "DelaySeconds": 0,
        "KmsDataKeyReusePeriodSeconds": 300,
        "KmsMasterKeyId": "",
        "MaximumMessageSize": 262144,
        "MessageRetentionPeriod": 345600,
        "ReceiveMessageWaitTimeSeconds": 0,
        "RedriveAllowPolicy": "",
        "RedrivePolicy": "",
        "SqsManagedSseEnabled": True,
        "VisibilityTimeout": 30,
    }

    def create(self) -> Physical:
        name = self.physical_name()
        given = self.properties.take("FifoQueue", *self._ATTRIBUTES)
        url = self.call(
            "sqs",
            "CreateQueue",
            QueueName=name,
            Attributes=given,
            Tags=tag_map(self.properties.get("Tags")),
        )["QueueUrl"]
        return Physical(url, {"Arn": self.arn("sqs", name), "QueueName": name, "QueueUrl": url})

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        given = self.properties.take(*self._ATTRIBUTES)
        reset = {key: self._ATTRIBUTES[key] for key in before if key in self._ATTRIBUTES and key not in given}
        if attributes := {**given, **reset}:
            self.call("sqs", "SetQueueAttributes", QueueUrl=physical.ref, Attributes=attributes)
        self.converge_tags(before, "sqs", tag="TagQueue", untag="UntagQueue", QueueUrl=physical.ref)
        return physical

    def delete(self, physical: Physical) -> None:
        self.call("sqs", "DeleteQueue", QueueUrl=physical.ref)


class QueuePolicy(Resource):
    type = "AWS::SQS::QueuePolicy"

    def create(self) -> Physical:
        for url in self.properties["Queues"]:
            attributes = {"Policy": self.properties["PolicyDocument"]}
            self.call("sqs", "SetQueueAttributes", QueueUrl=url, Attributes=attributes)
        return Physical(self.generated_name())

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        for url in sorted(set(before["Queues"]) - set(self.properties["Queues"])):
            self._clear(url)
        self.create()
        return physical

    def delete(self, physical: Physical) -> None:
        for url in self.properties["Queues"]:
            self._clear(url)

    def _clear(self, url: str) -> None:
        self.call("sqs", "SetQueueAttributes", QueueUrl=url, Attributes={"Policy": ""})


class Topic(Resource):
    type = "AWS::SNS::Topic"
    name_property = "TopicName"
    name_limit = 256
    replaced_by = frozenset({"TopicName", "FifoTopic"})

    _ATTRIBUTES = ("ContentBasedDeduplication", "DisplayName", "FifoTopic", "KmsMasterKeyId", "TracingConfig")

    def create(self) -> Physical:
        name = self.physical_name()
        given = self.properties.take(*self._ATTRIBUTES)
        arn = self.call(
            "sns",
            "CreateTopic",
            Name=name,
            Attributes=given,
            **self.properties.take("Tags"),
        )["TopicArn"]
        for subscription in self.properties.get("Subscription", []):
            self.call("sns", "Subscribe", TopicArn=arn, **subscription)
        return Physical(arn, {"TopicArn": arn, "TopicName": name})

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        attributes = self.properties.take(*self._ATTRIBUTES)
        removed = {key: "" for key in before if key in self._ATTRIBUTES and key not in attributes}
        for key, value in {**attributes, **removed}.items():
            if key != "FifoTopic":
                self.call(
                    "sns",
                    "SetTopicAttributes",
                    TopicArn=physical.ref,
                    AttributeName=key,
                    AttributeValue=value,
                )
        for subscription in self.properties.get("Subscription", []):
            self.call("sns", "Subscribe", TopicArn=physical.ref, **subscription)
        self.converge_tags(before, "sns", ResourceArn=physical.ref)
        return physical

    def delete(self, physical: Physical) -> None:
        self.call("sns", "DeleteTopic", TopicArn=physical.ref)


class TopicPolicy(Resource):
    type = "AWS::SNS::TopicPolicy"

    def create(self) -> Physical:
        for arn in self.properties["Topics"]:
            self._set(arn, self.properties["PolicyDocument"])
        return Physical(self.generated_name())

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        for arn in sorted(set(before["Topics"]) - set(self.properties["Topics"])):
            self._set(arn, self._owner_only(arn))
        self.create()
        return physical

    def delete(self, physical: Physical) -> None:
        for arn in self.properties["Topics"]:
            self._set(arn, self._owner_only(arn))

    def _set(self, arn: str, document: Any) -> None:
        self.call("sns", "SetTopicAttributes", TopicArn=arn, AttributeName="Policy", AttributeValue=document)

    def _owner_only(self, arn: str) -> dict[str, Any]:
        """A topic is never without a policy; this one says what IAM says: the owning account's own."""
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{self.stack.account}:root"},
            "Action": "sns:Publish",
            "Resource": arn,
        }
        return {"Statement": [statement]}


class Subscription(Resource):
    type = "AWS::SNS::Subscription"
    replaced_by = frozenset({"Endpoint", "Protocol", "TopicArn"})

    _ATTRIBUTES = (
        "DeliveryPolicy",
        "FilterPolicy",
        "FilterPolicyScope",
        "RawMessageDelivery",
        "RedrivePolicy",
        "SubscriptionRoleArn",
    )

    def create(self) -> Physical:
        given = self.properties.take(*self._ATTRIBUTES)
        arn = self.call(
            "sns",
            "Subscribe",
            **self.properties.take("TopicArn", "Protocol", "Endpoint"),
            Attributes=given,
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        return Physical(arn, {"Arn": arn})

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        for key, value in self.properties.take(*self._ATTRIBUTES).items():
            self.call(
                "sns",
                "SetSubscriptionAttributes",
                SubscriptionArn=physical.ref,
                AttributeName=key,
                AttributeValue=value,
            )
        return physical

    def delete(self, physical: Physical) -> None:
        self.call("sns", "Unsubscribe", SubscriptionArn=physical.ref)


class EventBus(Resource):
    type = "AWS::Events::EventBus"
    name_property = "Name"
    replaced_by = frozenset({"Name", "EventSourceName"})

    _SETTINGS = ("DeadLetterConfig", "Description", "KmsKeyIdentifier")

    def create(self) -> Physical:
        name = self.properties["Name"]
        arn = self.call(
            "events",
            "CreateEventBus",
            **self.properties.take("Name", "EventSourceName", "Tags", *self._SETTINGS),
        )["EventBusArn"]
        self._put_policy(name)
        return Physical(name, {"Arn": arn, "Name": name})

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        settings = self.properties.take(*self._SETTINGS)
        changed = {key: settings.get(key) for key in self._SETTINGS if settings.get(key) != before.get(key)}
        if changed:
            self.call("events", "UpdateEventBus", Name=physical.ref, **changed)
        self.converge_tags(before, "events", ResourceARN=physical.attributes["Arn"])
        self._put_policy(physical.ref)
        return physical

    def delete(self, physical: Physical) -> None:
        self.call("events", "DeleteEventBus", Name=physical.ref)

    def _put_policy(self, name: str) -> None:
        if document := self.properties.get("Policy"):
            self.call("events", "PutPermission", EventBusName=name, Policy=document)


class EventBusPolicy(Resource):
    type = "AWS::Events::EventBusPolicy"
    name_property = "StatementId"
    replaced_by = frozenset({"EventBusName", "StatementId"})

    def create(self) -> Physical:
        bus, statement_id = self.properties.get("EventBusName", "default"), self.properties["StatementId"]
        statement = self.properties.get("Statement")
        if statement:
            # PutPermission replaces the whole policy, this resource is one statement of it
            others = [one for one in self._statements(bus) if one.get("Sid") != statement_id]
            document = {"Version": "2012-10-17", "Statement": [*others, {**statement, "Sid": statement_id}]}
            self.call("events", "PutPermission", EventBusName=bus, Policy=document)
        else:
            self.call(
                "events",
                "PutPermission",
                EventBusName=bus,
                StatementId=statement_id,
                **self.properties.take("Action", "Principal", "Condition"),
            )
        return Physical(statement_id)

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        return self.create()

    def delete(self, physical: Physical) -> None:
        bus = self.properties.get("EventBusName", "default")
        self.call("events", "RemovePermission", EventBusName=bus, StatementId=physical.ref)

    def _statements(self, bus: str) -> list[dict[str, Any]]:
        document = self.call("events", "DescribeEventBus", Name=bus).get("Policy")
        statements: list[dict[str, Any]] = json.loads(document)["Statement"] if document else []
        return statements


class Rule(Resource):
    type = "AWS::Events::Rule"
    name_property = "Name"
    replaced_by = frozenset({"Name", "EventBusName"})

    def create(self) -> Physical:
        name = self.physical_name()
        arn = self._put(name)
        bus = self._bus()
        return Physical(name if bus == "default" else f"{bus}|{name}", {"Arn": arn})

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        name = physical.ref.rpartition("|")[2]
        self._put(name)
        self._remove_targets(name, _target_ids(before) - _target_ids(self.properties))
        return physical

    def delete(self, physical: Physical) -> None:
        name = physical.ref.rpartition("|")[2]
        self._remove_targets(name, _target_ids(self.properties))
        self.call("events", "DeleteRule", Name=name, EventBusName=self._bus())

    def _bus(self) -> str:
        return str(self.properties.get("EventBusName", "default"))

    def _put(self, name: str) -> str:
        settings = self.properties.take("Description", "EventPattern", "RoleArn", "ScheduleExpression", "State", "Tags")
        arn = self.call("events", "PutRule", Name=name, EventBusName=self._bus(), **settings)["RuleArn"]
        if targets := self.properties.get("Targets"):
            answer = self.call("events", "PutTargets", Rule=name, EventBusName=self._bus(), Targets=targets)
            _raise_failed(answer, "PutTargets")
        return str(arn)

    def _remove_targets(self, name: str, ids: set[str]) -> None:
        if ids:
            answer = self.call(
                "events",
                "RemoveTargets",
                Rule=name,
                EventBusName=self._bus(),
                Ids=sorted(ids),
            )
            _raise_failed(answer, "RemoveTargets")


def _target_ids(properties: Mapping[str, Any]) -> set[str]:
    return {target["Id"] for target in properties.get("Targets", [])}


def _raise_failed(answer: Mapping[str, Any], operation: str) -> None:
    for entry in answer.get("FailedEntries", []):
        raise ClientError({"Error": {"Code": entry["ErrorCode"], "Message": entry["ErrorMessage"]}}, operation)


class Schedule(Resource):
    type = "AWS::Scheduler::Schedule"
    name_property = "Name"
    replaced_by = frozenset({"Name", "GroupName"})

    def create(self) -> Physical:
        name = self.physical_name()
        arn = self.call("scheduler", "CreateSchedule", Name=name, **self._settings())["ScheduleArn"]
        return Physical(name, {"Arn": arn})

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        self.call("scheduler", "UpdateSchedule", Name=physical.ref, **self._settings())
        return physical

    def delete(self, physical: Physical) -> None:
        group = self.properties.take("GroupName")
        self.call("scheduler", "DeleteSchedule", Name=physical.ref, **group)

    def _settings(self) -> dict[str, Any]:
        return self.properties.take(
            "Description",
            "EndDate",
            "FlexibleTimeWindow",
            "GroupName",
            "KmsKeyArn",
            "ScheduleExpression",
            "ScheduleExpressionTimezone",
            "StartDate",
            "State",
            "Target",
        )


RESOURCES = (
    Queue,
    QueuePolicy,
    Topic,
    TopicPolicy,
    Subscription,
    EventBus,
    EventBusPolicy,
    Rule,
    Schedule,
)
