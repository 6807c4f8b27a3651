"""podshare's stacks in a sandbox."""

from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox, organization
from podshare_sandbox.organization import DATA, HUB, SCIENTISTS
from podshare_sandbox.services import kubernetes


def test_podshare_deploys_and_redeploys() -> None:
    """The real stacks deploy as they are, a second time changes nothing, and the cluster has podshare's roles."""
    with Sandbox(time_scale=0.02) as sandbox:
        outputs = deploy_podshare(sandbox)
        hub = dict(sandbox.stack("podshare").resources)
        assert outputs["RegistryTable"] == "podshare-registry"
        assert deploy_podshare(sandbox) == outputs
        assert sandbox.stack("podshare").resources == hub
        for account in (HUB, DATA):
            assert sandbox.stack("podshare-member", account).resources
        assert sandbox.stack_set("podshare-member").instances.keys() == set(SCIENTISTS)
        assert kubernetes.api_of(organization.EKS_CLUSTER_ARN).get("ClusterRole", None, "podshare-kubernetes")
