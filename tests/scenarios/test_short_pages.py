"""AWS may answer a list in shorter pages than asked for: podshare reads all of them."""

import json

from podshare_sandbox.services import iam
from tests.builders import a_team_item
from tests.scenarios.world import HUB, VISION, World

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
ANYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def test_what_somebody_gives_a_role_is_seen_on_any_page(world: World) -> None:
    """Policies after the first page of a role's are revoked like those before, and the role goes with all of them."""
    world.put(a_team_item("vision", members=[{"account": VISION}]))
    assert world.status("vision")["state"] == "READY"
    client, name = world.sandbox.client("iam", HUB), world.cluster_access_role("vision", VISION).rpartition("/")[2]
    with iam.short_pages(1):
        for policy in ("a", "z"):
            client.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(ANYTHING))
        for policy in (READ_ONLY, "arn:aws:iam::aws:policy/AdministratorAccess"):
            client.attach_role_policy(RoleName=name, PolicyArn=policy)
        assert world.reconcile("vision")["state"] == "READY", world.status("vision")
    assert {"a", "z"}.isdisjoint(client.list_role_policies(RoleName=name)["PolicyNames"])
    assert client.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
    with iam.short_pages(1):
        world.delete("team#vision")
        assert world.status("vision")["state"] == "DELETED", world.status("vision")
    assert world.leftovers() == []
