"""What people watch: CloudWatch alarms and dashboards, and log groups."""

from collections.abc import Mapping
from typing import Any

from podshare_sandbox.cloudformation.errors import TemplateError
from podshare_sandbox.cloudformation.resources.base import Physical, Resource


class Alarm(Resource):
    type = "AWS::CloudWatch::Alarm"
    name_property = "AlarmName"
    name_limit = 255
    replaced_by = frozenset({"AlarmName"})

    def create(self) -> Physical:
        return self._put(self.physical_name())

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        return self._put(physical.ref)

    def delete(self, physical: Physical) -> None:
        self.call("cloudwatch", "DeleteAlarms", AlarmNames=[physical.ref])

    def _put(self, name: str) -> Physical:
        settings = self.properties.take(*(key for key in self.properties if key != "AlarmName"))
        self.call("cloudwatch", "PutMetricAlarm", AlarmName=name, **settings)
        return Physical(name, {"Arn": self.arn("cloudwatch", f"alarm:{name}")})


class Dashboard(Resource):
    type = "AWS::CloudWatch::Dashboard"
    name_property = "DashboardName"
    name_limit = 255
    replaced_by = frozenset({"DashboardName"})

    def create(self) -> Physical:
        return self._put(self.physical_name())

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        return self._put(physical.ref)

    def delete(self, physical: Physical) -> None:
        self.call("cloudwatch", "DeleteDashboards", DashboardNames=[physical.ref])

    def _put(self, name: str) -> Physical:
        body = self.properties["DashboardBody"]
        self.call("cloudwatch", "PutDashboard", DashboardName=name, DashboardBody=body)
        return Physical(name)


class LogGroup(Resource):
    type = "AWS::Logs::LogGroup"
    name_property = "LogGroupName"
    name_limit = 512
    replaced_by = frozenset({"LogGroupName", "LogGroupClass"})

    def create(self) -> Physical:
        name = self.physical_name()
        self.call(
            "logs",
            "CreateLogGroup",
            logGroupName=name,
            **self.properties.take("KmsKeyId", "LogGroupClass", "Tags"),
        )
        self._converge_retention(name, {})
        return Physical(name, {"Arn": self._group_arn(name) + ":*"})

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        if self.properties.get("KmsKeyId") != before.get("KmsKeyId"):
            raise TemplateError(f"{self.logical_id}: an update of KmsKeyId is not emulated")
        self._converge_retention(physical.ref, before)
        self.converge_tags(before, "logs", ResourceArn=self._group_arn(physical.ref))
        return physical

    def delete(self, physical: Physical) -> None:
        self.call("logs", "DeleteLogGroup", logGroupName=physical.ref)

    def _group_arn(self, name: str) -> str:
        return self.arn("logs", f"log-group:{name}")

    def _converge_retention(self, name: str, before: Mapping[str, Any]) -> None:
        days = self.properties.get("RetentionInDays")
        if days is not None:
            self.call("logs", "PutRetentionPolicy", logGroupName=name, retentionInDays=days)
        elif "RetentionInDays" in before:
            self.call("logs", "DeleteRetentionPolicy", logGroupName=name)


RESOURCES = (Alarm, Dashboard, LogGroup)
