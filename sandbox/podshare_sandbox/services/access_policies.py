"""The rules of EKS's access policies: what each grants inside a cluster.

EKS has no API that tells the rules. Those of the ``AmazonEKS…`` policies are the tables of the user guide's page
"Review access policy permissions"; those of the ``AmazonSagemakerHyperpod…`` policies are described in the
SageMaker AI developer guide, "Setting up an Amazon EKS cluster in Studio", where full access means get, list,
watch, create, update, patch and delete. Policies that only AWS's own components use are left out, but for that of EKS
Auto Mode's nodes, of which the guide says in words alone what it allows: here that is nothing.
"""

from dataclasses import dataclass

READ = ("get", "list", "watch")
WRITE = ("create", "delete", "deletecollection", "patch", "update")
FULL = (*READ, "create", "update", "patch", "delete")


@dataclass(frozen=True)
class Rule:
    """One rule, of an access policy or of a Kubernetes Role: everything listed is allowed, ``*`` is anything."""

    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class AccessPolicy:
    """An access policy of EKS."""

    name: str
    rules: tuple[Rule, ...]

    def arn(self, partition: str = "aws") -> str:
        """The ARN, which has neither Region nor account."""
        return f"arn:{partition}:eks::aws:cluster-access-policy/{self.name}"


def _rule(group: str, resources: str, verbs: tuple[str, ...]) -> Rule:
    return Rule((group,), tuple(resources.split()), verbs)


_APPS = "daemonsets deployments deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale"
_APPS_STATUS = "daemonsets/status deployments/status replicasets/status statefulsets/status controllerrevisions"
_EXTENSIONS = (
    "daemonsets deployments deployments/scale ingresses networkpolicies replicasets replicasets/scale "
    "replicationcontrollers/scale"
)
_EXTENSIONS_STATUS = "daemonsets/status deployments/status ingresses/status replicasets/status"
_CORE_READ = (
    "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers "
    "replicationcontrollers/scale serviceaccounts services services/status bindings events limitranges "
    "namespaces namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas "
    "resourcequotas/status"
)

_VIEW = (
    _rule("apps", f"{_APPS} {_APPS_STATUS}", READ),
    _rule("autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status", READ),
    _rule("batch", "cronjobs cronjobs/status jobs jobs/status", READ),
    _rule("discovery.k8s.io", "endpointslices", READ),
    _rule("extensions", f"{_EXTENSIONS} {_EXTENSIONS_STATUS}", READ),
    _rule("networking.k8s.io", "ingresses ingresses/status networkpolicies", READ),
    _rule("policy", "poddisruptionbudgets poddisruptionbudgets/status", READ),
    _rule("", _CORE_READ, READ),
)

_POD_ACTIONS = "pods/attach pods/exec pods/portforward pods/proxy"

_EDIT = (
    *_VIEW,
    _rule("apps", f"{_APPS} deployments/rollback", WRITE),
    _rule("autoscaling", "horizontalpodautoscalers", WRITE),
    _rule("batch", "cronjobs jobs", WRITE),
    _rule("extensions", f"{_EXTENSIONS} deployments/rollback", WRITE),
    _rule("networking.k8s.io", "ingresses networkpolicies", WRITE),
    _rule("policy", "poddisruptionbudgets", WRITE),
    _rule("", f"{_POD_ACTIONS} secrets services/proxy", READ),
    _rule("", f"pods {_POD_ACTIONS}", WRITE),
    _rule(
        "",
        "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets "
        "serviceaccounts services services/proxy",
        WRITE,
    ),
    _rule("", "serviceaccounts", ("impersonate",)),
)

_ADMIN = (
    *_EDIT,
    _rule("authorization.k8s.io", "localsubjectaccessreviews", ("create",)),
    _rule("rbac.authorization.k8s.io", "rolebindings roles", (*READ, *WRITE)),
)

_CLUSTER_ADMIN = (Rule(("*",), ("*",), ("*",)), Rule(non_resource_urls=("*",), verbs=("*",)))

_WORKLOAD_READ = (
    _rule("", "pods/log configmaps events services serviceaccounts resourcequotas limitranges", READ),
    _rule("apps", "deployments statefulsets replicasets", READ),
    _rule("kueue.x-k8s.io", "localqueues workloads", READ),
)

# SageMaker AI developer guide, "Generating a dashboard connection URL": the API server answers a connection once made
_RAY_DASHBOARD = _rule("connection.access.sagemaker.amazonaws.com", "raydashboardconnections", ("create",))

_TRAINING = (
    _rule("ray.io", "rayclusters rayjobs raycronjobs", FULL),
    _rule("sagemaker.amazonaws.com", "hyperpodpytorchjobs", FULL),
    _rule("kubeflow.org", "pytorchjobs mpijobs tfjobs", FULL),
    _rule("batch", "jobs", FULL),
    _rule("", "pods", FULL),
    *_WORKLOAD_READ,
    _RAY_DASHBOARD,
)

_INFERENCE = (
    _rule("ray.io", "rayclusters rayservices", FULL),
    _rule(
        "inference.sagemaker.aws.amazon.com",
        "jumpstartmodels inferenceendpointconfigs sagemakerendpointregistrations",
        FULL,
    ),
    _rule("", "pods", FULL),
    *_WORKLOAD_READ,
    _rule("autoscaling", "horizontalpodautoscalers", READ),
    _rule("networking.k8s.io", "ingresses", READ),
    _RAY_DASHBOARD,
)

_SPACE_TEMPLATES = "workspacetemplates"

_SPACE = (
    _rule("workspace.jupyter.org", "workspaces", FULL),
    _rule("workspace.jupyter.org", f"{_SPACE_TEMPLATES} workspaceaccessstrategies workspaceintegrationtemplates", READ),
    _rule("connection.workspace.jupyter.org", "workspaceconnections", ("create",)),
    _rule("", "pods services serviceaccounts persistentvolumeclaims events resourcequotas bindings", READ),
    _rule("apps", "daemonsets deployments replicasets", READ),
)

_SPACE_TEMPLATE = (_rule("workspace.jupyter.org", _SPACE_TEMPLATES, READ),)

_USER_CLUSTER = (
    _rule("", "namespaces nodes", READ),
    _rule("apiextensions.k8s.io", "customresourcedefinitions", ("get",)),
    _rule("kueue.x-k8s.io", "clusterqueues resourceflavors workloadpriorityclasses", READ),
    _rule("authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews", ("create",)),
)

_POLICIES = (
    AccessPolicy("AmazonEKSAdminPolicy", _ADMIN),
    AccessPolicy("AmazonEKSAdminViewPolicy", (Rule(("*",), ("*",), READ),)),
    AccessPolicy("AmazonEKSAutoNodePolicy", ()),
    AccessPolicy("AmazonEKSClusterAdminPolicy", _CLUSTER_ADMIN),
    AccessPolicy("AmazonEKSEditPolicy", _EDIT),
    AccessPolicy("AmazonEKSSecretReaderPolicy", (_rule("", "secrets", READ),)),
    AccessPolicy("AmazonEKSViewPolicy", _VIEW),
    AccessPolicy("AmazonSagemakerHyperpodInferencePolicy", _INFERENCE),
    AccessPolicy("AmazonSagemakerHyperpodSpacePolicy", _SPACE),
    AccessPolicy("AmazonSagemakerHyperpodSpaceTemplatePolicy", _SPACE_TEMPLATE),
    AccessPolicy("AmazonSagemakerHyperpodTrainingPolicy", _TRAINING),
    AccessPolicy("AmazonSagemakerHyperpodUserClusterPolicy", _USER_CLUSTER),
)

# By ARN, in the commercial partition: the one that the sandbox emulates.
ACCESS_POLICIES = {policy.arn(): policy for policy in _POLICIES}
CLUSTER_ADMIN = AccessPolicy("AmazonEKSClusterAdminPolicy", _CLUSTER_ADMIN).arn()
