"""The kinds of objects that the sandbox's Kubernetes API serves, with the names under which it serves them."""

import re
from dataclasses import dataclass

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"


@dataclass(frozen=True)
class NameRule:
    """What a name must look like, in the words of the API server."""

    pattern: str
    longest: int | None
    description: str

    def violation(self, name: str) -> str | None:
        """Why ``name`` is refused, None if it is not."""
        if self.longest is not None and len(name) > self.longest:
            return f"must be no more than {self.longest} characters"
        return None if re.fullmatch(self.pattern, name) else self.description


DNS_LABEL = NameRule(
    _LABEL,
    63,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    f"with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')",
)
DNS_SUBDOMAIN = NameRule(
    _SUBDOMAIN,
    253,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    f"and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')",
)
PATH_SEGMENT = NameRule(r"(?!\.\.?$)[^/%]+", None, "may not be '.', may not be '..', may not contain '/' or '%'")


_WITHOUT_STATUS = {
    "ClusterRole", "ClusterRoleBinding", "ConfigMap", "NetworkPolicy", "ResourceFlavor", "Role", "RoleBinding",
    "Secret", "ServiceAccount", "ValidatingAdmissionPolicyBinding", "WorkloadPriorityClass",
}  # fmt: skip
_RETURNED = {"PersistentVolume", "PersistentVolumeClaim", "Pod", "ResourceQuota", "ServiceAccount"}
_IN_ALL = {"CronJob", "Deployment", "Job", "Pod"}
_OF_PODS = {"exec": ("PodExecOptions", ("create", "get")), "log": ("Pod", ("get",))}
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Resource:
    """One kind of object. ``plural`` is its name in URLs and rules."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    names: NameRule = DNS_SUBDOMAIN
    short_names: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """``apiVersion`` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def has_status(self) -> bool:
        """Whether its objects have the subresource ``status``."""
        return self.kind not in _WITHOUT_STATUS

    @property
    def returns_deleted(self) -> bool:
        """Whether a deletion is answered with the object, rather than with a Status."""
        return self.kind in _RETURNED

    @property
    def categories(self) -> tuple[str, ...]:
        """The groups of kinds in which clients find it: ``kubectl get all``."""
        return ("all",) if self.kind in _IN_ALL else ()

    @property
    def subresources(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """What else is served of each object: by name, its kind and what can be asked of it."""
        status = {"status": (self.kind, ("get",))} if self.has_status else {}
        return status | (_OF_PODS if self.kind == "Pod" else {})

    @property
    def verbs(self) -> tuple[str, ...]:
        """What can be asked of its objects."""
        if self.kind == "CustomResourceDefinition":  # others than those of the add-ons are not emulated
            return ("get", "list", "watch")
        return tuple(verb for verb in VERBS if self.kind != "Namespace" or verb != "deletecollection")

    @property
    def qualified(self) -> str:
        """The name with its group, as it stands in error messages."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"
_KUEUE = "kueue.x-k8s.io"

RESOURCES = (
    Resource("", "v1", "namespaces", "Namespace", namespaced=False, names=DNS_LABEL, short_names=("ns",)),
    Resource("", "v1", "nodes", "Node", namespaced=False, short_names=("no",)),
    Resource("", "v1", "serviceaccounts", "ServiceAccount", short_names=("sa",)),
    Resource("", "v1", "pods", "Pod", short_names=("po",)),
    Resource("", "v1", "configmaps", "ConfigMap", short_names=("cm",)),
    Resource("", "v1", "secrets", "Secret"),
    Resource("", "v1", "resourcequotas", "ResourceQuota", short_names=("quota",)),
    Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False, short_names=("pv",)),
    Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", short_names=("pvc",)),
    Resource("apps", "v1", "deployments", "Deployment", short_names=("deploy",)),
    Resource("batch", "v1", "jobs", "Job"),
    Resource("batch", "v1", "cronjobs", "CronJob", short_names=("cj",)),
    Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", short_names=("netpol",)),
    Resource(_ADMISSION, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", namespaced=False),
    Resource(
        _ADMISSION, "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", namespaced=False
    ),
    Resource(RBAC, "v1", "roles", "Role", names=PATH_SEGMENT),
    Resource(RBAC, "v1", "rolebindings", "RoleBinding", names=PATH_SEGMENT),
    Resource(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False, names=PATH_SEGMENT),
    Resource(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False, names=PATH_SEGMENT),
    Resource(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        namespaced=False,
        short_names=("crd", "crds"),
    ),
    Resource("kubeflow.org", "v1", "pytorchjobs", "PyTorchJob"),
    Resource("sagemaker.amazonaws.com", "v1", "hyperpodpytorchjobs", "HyperPodPyTorchJob"),
    Resource(_KUEUE, "v1beta1", "localqueues", "LocalQueue"),
    Resource(_KUEUE, "v1beta1", "clusterqueues", "ClusterQueue", namespaced=False),
    Resource(_KUEUE, "v1beta1", "resourceflavors", "ResourceFlavor", namespaced=False),
    Resource(_KUEUE, "v1beta1", "workloads", "Workload"),
    Resource(_KUEUE, "v1beta1", "workloadpriorityclasses", "WorkloadPriorityClass", namespaced=False),
)

BY_KIND = {resource.kind: resource for resource in RESOURCES}
NAMESPACE = BY_KIND["Namespace"]
DEFINITION = BY_KIND["CustomResourceDefinition"]


def find(group: str, version: str, plural: str) -> Resource | None:
    """The resource that is served under ``group/version/plural``."""
    return next(
        (each for each in RESOURCES if (each.group, each.version, each.plural) == (group, version, plural)), None
    )
