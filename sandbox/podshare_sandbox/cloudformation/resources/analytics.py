"""What queries data in S3: the Glue Data Catalog and Athena's workgroups."""

from collections.abc import Mapping
from typing import Any

from podshare_sandbox.cloudformation.errors import TemplateError
from podshare_sandbox.cloudformation.resources.base import Physical, Resource, tag_map


class Database(Resource):
    type = "AWS::Glue::Database"
    name_limit = 255

    def create(self) -> Physical:
        given = {"Name": self.generated_name().lower(), **self.properties["DatabaseInput"]}
        self.call("glue", "CreateDatabase", CatalogId=self.properties["CatalogId"], DatabaseInput=given)
        return Physical(given["Name"])

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        given = {"Name": physical.ref, **self.properties["DatabaseInput"]}
        if given["Name"] != physical.ref:
            raise TemplateError(f"{self.logical_id}: a new name of a database is not emulated")
        catalog = self.properties["CatalogId"]
        self.call("glue", "UpdateDatabase", CatalogId=catalog, Name=physical.ref, DatabaseInput=given)
        return physical

    def delete(self, physical: Physical) -> None:
        self.call("glue", "DeleteDatabase", CatalogId=self.properties["CatalogId"], Name=physical.ref)


class Table(Resource):
    type = "AWS::Glue::Table"
    name_limit = 255
    replaced_by = frozenset({"CatalogId", "DatabaseName"})

    def create(self) -> Physical:
        return self._put("CreateTable")

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        if self.properties["TableInput"].get("Name") != physical.ref:
            raise TemplateError(f"{self.logical_id}: a new name of a table is not emulated")
        return self._put("UpdateTable")

    def delete(self, physical: Physical) -> None:
        self.call("glue", "DeleteTable", Name=physical.ref, **self.properties.take("CatalogId", "DatabaseName"))

    def _put(self, operation: str) -> Physical:
        given = {"Name": self.generated_name().lower(), **self.properties["TableInput"]}
        self.call("glue", operation, TableInput=given, **self.properties.take("CatalogId", "DatabaseName"))
        return Physical(given["Name"])


class WorkGroup(Resource):
    type = "AWS::Athena::WorkGroup"
    name_property = "Name"
    name_limit = 128
    replaced_by = frozenset({"Name"})

    def create(self) -> Physical:
        name = self.physical_name()
        tags = [{"Key": key, "Value": tag} for key, tag in tag_map(self.properties.get("Tags")).items()]
        self.call(
            "athena",
            "CreateWorkGroup",
            Name=name,
            Configuration=self.properties["WorkGroupConfiguration"],
            Tags=tags,
            **self.properties.take("Description"),
        )
        return Physical(name)

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        if dict(self.properties) != dict(before):
            raise TemplateError(f"{self.logical_id}: an update of a workgroup is not emulated")
        self.properties.take(*before)
        return physical

    def delete(self, physical: Physical) -> None:
        recursive = self.properties.get("RecursiveDeleteOption", False)
        self.call("athena", "DeleteWorkGroup", WorkGroup=physical.ref, RecursiveDeleteOption=recursive)


RESOURCES = (Database, Table, WorkGroup)
