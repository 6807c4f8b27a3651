"""The roles and bindings with which a cluster of Kubernetes 1.36 starts.

Kubernetes documentation, "Using RBAC Authorization", default roles and role bindings; the rules are those of
``plugin/pkg/auth/authorizer/rbac/bootstrappolicy`` with the feature gates that are on by default. EKS's own, whose
names begin with ``eks:``, are not known.
"""

from collections.abc import Iterator
from typing import Any

from podshare_sandbox.services.kubernetes.resources import RBAC

Object = dict[str, Any]

_VERBS = {
    "READ": "get list watch",
    "WRITE": "create delete deletecollection patch update",
    "ALL": "create delete deletecollection get list patch update watch",
}
_SHORT = {"core": "", "rbac": RBAC} | {
    name: f"{name}.k8s.io"
    for name in (
        "authentication",
        "authorization",
        "certificates",
        "coordination",
        "discovery",
        "events",
        "metrics",
        "networking",
        "resource",
        "storage",
        "storagemigration",
        "admissionregistration",
    )
}
_EVENTS = "create patch update: core events: events"

# a role a paragraph: its name, and its rules as verbs: API groups: resources: resource names, or as verbs: URLs.
# A line that is indented goes on with the one before it.
_CLUSTER_ROLES = """
cluster-admin
*: *: *
*: *

system:discovery
get: /api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/

system:public-info-viewer
get: /healthz /livez /readyz /version /version/

system:monitoring
get: /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*

system:basic-user
create: authorization: selfsubjectaccessreviews selfsubjectrulesreviews
create: authentication: selfsubjectreviews

system:service-account-issuer-discovery
get: /.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/

system:aggregate-to-admin
create: authorization: localsubjectaccessreviews
ALL: rbac: roles rolebindings

system:aggregate-to-edit
READ: core: pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy
impersonate: core: serviceaccounts
WRITE: core: pods pods/attach pods/exec pods/portforward pods/proxy
create: core: pods/eviction
WRITE: core: configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets
  serviceaccounts services services/proxy
create: core: serviceaccounts/token
WRITE: apps: daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets
  statefulsets/scale
WRITE: autoscaling: horizontalpodautoscalers
WRITE: batch: cronjobs jobs
WRITE: extensions: daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets
  replicasets/scale replicationcontrollers/scale
WRITE: policy: poddisruptionbudgets
WRITE: networking: ingresses networkpolicies
ALL: coordination: leases
WRITE: resource: resourceclaims resourceclaimtemplates

system:aggregate-to-view
READ: core: configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers
  replicationcontrollers/scale serviceaccounts services services/status
READ: core: bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status
  resourcequotas resourcequotas/status
READ: core: namespaces
READ: discovery: endpointslices
READ: apps: controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status
  replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status
READ: autoscaling: horizontalpodautoscalers horizontalpodautoscalers/status
READ: batch: cronjobs cronjobs/status jobs jobs/status
READ: extensions: daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses
  ingresses/status networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale
READ: policy: poddisruptionbudgets poddisruptionbudgets/status
READ: networking: ingresses ingresses/status networkpolicies
READ: coordination: leases
READ: resource: resourceclaims resourceclaims/status resourceclaimtemplates

system:heapster
READ: core: events namespaces nodes pods
READ: extensions: deployments

system:node
create: authentication: tokenreviews
create: authorization: localsubjectaccessreviews subjectaccessreviews
READ: core: services
create get list watch: core: nodes
patch update: core: nodes/status
patch update: core: nodes
create patch update: core: events
READ: core: pods
create delete: core: pods
patch update: core: pods/status
create: core: pods/eviction
READ: core: configmaps secrets
get: core: persistentvolumeclaims persistentvolumes
get: core: endpoints
create get list watch: certificates: certificatesigningrequests
create delete get patch update: coordination: leases
get: storage: volumeattachments
get patch update: core: persistentvolumeclaims/status
create: core: serviceaccounts/token
READ: storage: csidrivers
create delete get patch update: storage: csinodes
READ: node.k8s.io: runtimeclasses
get: resource: resourceclaims
deletecollection: resource: resourceslices
create delete get list patch update watch: resource: resourceslices

system:node-problem-detector
get: core: nodes
patch: core: nodes/status
EVENTS

system:kubelet-api-admin
READ: core: nodes
proxy: core: nodes
*: core: nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/stats

system:node-bootstrapper
create get list watch: certificates: certificatesigningrequests

system:auth-delegator
create: authentication: tokenreviews
create: authorization: subjectaccessreviews

system:kube-aggregator
READ: core: endpoints services

system:kube-controller-manager
EVENTS
create: coordination: leases
get update: coordination: leases: kube-controller-manager
create: core: secrets serviceaccounts
delete: core: secrets
get: core: configmaps namespaces secrets serviceaccounts
update: core: secrets serviceaccounts
create: authentication: tokenreviews
create: authorization: subjectaccessreviews
list watch: *: *
create: core: serviceaccounts/token

system:kube-dns
list watch: core: endpoints services

system:persistent-volume-provisioner
create delete get list watch: core: persistentvolumes
get list update watch: core: persistentvolumeclaims
READ: storage: storageclasses
watch: core: events
EVENTS

system:certificates.k8s.io:certificatesigningrequests:nodeclient
create: certificates: certificatesigningrequests/nodeclient

system:certificates.k8s.io:certificatesigningrequests:selfnodeclient
create: certificates: certificatesigningrequests/selfnodeclient

system:volume-scheduler
get list patch update watch: core: persistentvolumes
READ: storage: storageclasses
get list patch update watch: core: persistentvolumeclaims

system:certificates.k8s.io:legacy-unknown-approver
approve: certificates: signers: kubernetes.io/legacy-unknown

system:certificates.k8s.io:kubelet-serving-approver
approve: certificates: signers: kubernetes.io/kubelet-serving

system:certificates.k8s.io:kube-apiserver-client-approver
approve: certificates: signers: kubernetes.io/kube-apiserver-client

system:certificates.k8s.io:kube-apiserver-client-kubelet-approver
approve: certificates: signers: kubernetes.io/kube-apiserver-client-kubelet

system:node-proxier
list watch: core: endpoints services
READ: core: nodes
EVENTS
list watch: discovery: endpointslices
list watch: networking: servicecidrs

system:kube-scheduler
EVENTS
create: coordination: leases
get list update watch: coordination: leases: kube-scheduler
READ: core: nodes
delete get list watch: core: pods
create: core: bindings pods/binding
patch update: core: pods/status
READ: core: replicationcontrollers services
READ: apps extensions: replicasets
READ: apps: statefulsets
READ: policy: poddisruptionbudgets
READ: core: persistentvolumeclaims persistentvolumes
create: authentication: tokenreviews
create: authorization: subjectaccessreviews
READ: storage: csinodes
READ: core: namespaces
READ: storage: csidrivers
READ: storage: csistoragecapacities
READ: storage: volumeattachments
READ: resource: deviceclasses resourceclaims resourceslices
patch update: resource: resourceclaims/status
"""

# those of the controllers in kube-controller-manager, without the prefix that all names have
_CONTROLLER_ROLES = """
attachdetach-controller
list watch: core: persistentvolumeclaims persistentvolumes
READ: core: nodes
patch update: core: nodes/status
list watch: core: pods
EVENTS
create delete get list watch: storage: volumeattachments
READ: storage: csidrivers
READ: storage: csinodes

clusterrole-aggregation-controller
escalate get list patch update watch: rbac: clusterroles

cronjob-controller
get list update watch: batch: cronjobs
create delete get list patch update watch: batch: jobs
update: batch: cronjobs/status
update: batch: cronjobs/finalizers
delete list: core: pods
EVENTS

daemon-set-controller
READ: apps extensions: daemonsets
update: apps extensions: daemonsets/status
update: apps extensions: daemonsets/finalizers
list watch: core: nodes
create delete list patch watch: core: pods
create: core: pods/binding
create delete get list patch update watch: apps: controllerrevisions
EVENTS

deployment-controller
get list update watch: apps extensions: deployments
update: apps extensions: deployments/status
update: apps extensions: deployments/finalizers
create delete get list patch update watch: apps extensions: replicasets
get list update watch: core: pods
EVENTS

disruption-controller
READ: apps extensions: deployments
READ: apps extensions: replicasets
READ: core: replicationcontrollers
READ: policy: poddisruptionbudgets
READ: apps: statefulsets
update: policy: poddisruptionbudgets/status
patch update: core: pods/status
get: *: */scale
EVENTS

endpoint-controller
READ: core: pods services
create delete get list update: core: endpoints
create: core: endpoints/restricted
EVENTS

endpointslice-controller
READ: core: nodes pods services
update: core: services/finalizers
create delete get list update: discovery: endpointslices
EVENTS

endpointslicemirroring-controller
READ: core: endpoints services
update: core: services/finalizers
update: core: endpoints/finalizers
create delete get list update: discovery: endpointslices
EVENTS

expand-controller
get list patch update watch: core: persistentvolumes
patch update: core: persistentvolumeclaims/status
READ: core: persistentvolumeclaims
READ: storage: storageclasses
get: core: endpoints services
get: core: secrets
EVENTS

ephemeral-volume-controller
READ: core: pods
update: core: pods/finalizers
create get list watch: core: persistentvolumeclaims
EVENTS

resource-claim-controller
READ: core: pods
update: core: pods/finalizers
create delete get list watch: resource: resourceclaims
patch update: resource: resourceclaims resourceclaims/status
patch update: core: pods/status
EVENTS

generic-garbage-collector
delete get list patch update watch: *: *
EVENTS

horizontal-pod-autoscaler
READ: autoscaling: horizontalpodautoscalers
update: autoscaling: horizontalpodautoscalers/status
get update: *: */scale
list: core: pods
list: metrics: pods
get list: custom.metrics.k8s.io: *
get list: external.metrics.k8s.io: *
EVENTS

job-controller
get list patch update watch: batch: jobs
update: batch: jobs/status
update: batch: jobs/finalizers
create delete list patch watch: core: pods
EVENTS

namespace-controller
delete get list watch: core: namespaces
update: core: namespaces/finalize namespaces/status
delete deletecollection get list: *: *

node-controller
delete get list patch update: core: nodes
patch update: core: nodes/status
patch update: core: pods/status
delete get list: core: pods
EVENTS

persistent-volume-binder
create delete get list update watch: core: persistentvolumes
update: core: persistentvolumes/status
get list update watch: core: persistentvolumeclaims
update: core: persistentvolumeclaims/status
create delete get list watch: core: pods
READ: storage: storageclasses
create delete get update: core: endpoints
create delete get: core: services
get: core: secrets
get list: core: nodes
watch: core: events
EVENTS

pod-garbage-collector
delete list watch: core: pods
get list: core: nodes
patch: core: pods/status

replicaset-controller
get list update watch: apps extensions: replicasets
update: apps extensions: replicasets/status
update: apps extensions: replicasets/finalizers
create delete list patch watch: core: pods
EVENTS

replication-controller
get list update watch: core: replicationcontrollers
update: core: replicationcontrollers/status
update: core: replicationcontrollers/finalizers
create delete list patch watch: core: pods
EVENTS

resourcequota-controller
list watch: *: *
update: core: resourcequotas/status
EVENTS

route-controller
list watch: core: nodes
patch: core: nodes/status
EVENTS

service-account-controller
create: core: serviceaccounts
EVENTS

service-controller
READ: core: services
patch update: core: services/status
list watch: core: nodes
EVENTS

service-cidrs-controller
get list patch update watch: networking: servicecidrs
patch update: networking: servicecidrs/finalizers
patch update: networking: servicecidrs/status
READ: networking: ipaddresses
EVENTS

statefulset-controller
list watch: core: pods
READ: apps: statefulsets
update: apps: statefulsets/status
update: apps: statefulsets/finalizers
create delete get patch update: core: pods
create delete get list patch update watch: apps: controllerrevisions
create get: core: persistentvolumeclaims
EVENTS
delete update: core: persistentvolumeclaims

ttl-controller
list patch update watch: core: nodes
EVENTS

certificate-controller
delete get list watch: certificates: certificatesigningrequests
update: certificates: certificatesigningrequests/approval certificatesigningrequests/status
approve: certificates: signers: kubernetes.io/kube-apiserver-client-kubelet
sign: certificates: signers: kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet
  kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown
create: authorization: subjectaccessreviews
EVENTS

pvc-protection-controller
get list update watch: core: persistentvolumeclaims
READ: core: pods
EVENTS

pv-protection-controller
get list update watch: core: persistentvolumes
EVENTS

volumeattributesclass-protection-controller
READ: core: persistentvolumeclaims
READ: core: persistentvolumes
get list update watch: storage: volumeattributesclasses
EVENTS

ttl-after-finished-controller
delete get list watch: batch: jobs
EVENTS

root-ca-cert-publisher
create update: core: configmaps
EVENTS

validatingadmissionpolicy-status-controller
READ: admissionregistration: validatingadmissionpolicies
get patch update: admissionregistration: validatingadmissionpolicies/status
EVENTS

legacy-service-account-token-cleaner
get: core: configmaps: kube-apiserver-legacy-service-account-token-tracking
delete patch: core: secrets
"""

# in a namespace: the namespace before the name
_ROLES = """
kube-system/extension-apiserver-authentication-reader
READ: core: configmaps: extension-apiserver-authentication

kube-system/system::leader-locking-kube-controller-manager
watch: core: configmaps
get update: core: configmaps: kube-controller-manager

kube-system/system::leader-locking-kube-scheduler
watch: core: configmaps
get update: core: configmaps: kube-scheduler

kube-system/system:controller:bootstrap-signer
READ: core: secrets

kube-system/system:controller:cloud-provider
create get list watch: core: configmaps

kube-system/system:controller:token-cleaner
delete get list watch: core: secrets
EVENTS

kube-public/system:controller:bootstrap-signer
READ: core: configmaps
update: core: configmaps: cluster-info
EVENTS
"""

_AGGREGATED = {"admin": (), "edit": ("admin",), "view": ("edit",)}  # with those that it is a part of itself
_GROUPS = {
    "cluster-admin": ("system:masters",),
    "system:discovery": ("system:authenticated",),
    "system:basic-user": ("system:authenticated",),
    "system:public-info-viewer": ("system:authenticated", "system:unauthenticated"),
    "system:monitoring": ("system:monitoring",),
    "system:service-account-issuer-discovery": ("system:serviceaccounts",),
    "system:node": (),
}
_USERS = {
    "system:node-proxier": ("system:kube-proxy",),
    "system:kube-controller-manager": ("system:kube-controller-manager",),
    "system:kube-scheduler": ("system:kube-scheduler",),
    "system:volume-scheduler": ("system:kube-scheduler",),
}
_CONTROLLER = "system:controller:"
_LEADERS = ("kube-controller-manager", "kube-scheduler")


def manifests() -> Iterator[Object]:
    """All of them, roles before the bindings to them."""
    for name, rules in _paragraphs(_CLUSTER_ROLES):
        part = name.removeprefix("system:") if name.startswith("system:aggregate-to-") else ""
        yield _object("ClusterRole", name, labels=_aggregates(part), rules=rules)
    for name, parts in _AGGREGATED.items():
        selector = {"matchLabels": _aggregates(f"aggregate-to-{name}")}
        labels = {key: value for part in parts for key, value in _aggregates(f"aggregate-to-{part}").items()}
        yield _object("ClusterRole", name, labels=labels, aggregationRule={"clusterRoleSelectors": [selector]})
    for name, groups in _GROUPS.items():
        yield _binding("ClusterRoleBinding", name, ("ClusterRole", name), [_subject("Group", one) for one in groups])
    for name, users in _USERS.items():
        yield _binding("ClusterRoleBinding", name, ("ClusterRole", name), [_subject("User", one) for one in users])
    dns = ("ClusterRole", "system:kube-dns")
    yield _binding("ClusterRoleBinding", "system:kube-dns", dns, [_service_account("kube-dns")])
    for name, rules in _paragraphs(_CONTROLLER_ROLES):
        full = f"{_CONTROLLER}{name}"
        yield _object("ClusterRole", full, rules=rules)
        yield _binding("ClusterRoleBinding", full, ("ClusterRole", full), [_service_account(name)])
    yield from _in_namespaces()


def _in_namespaces() -> Iterator[Object]:
    for qualified, rules in _paragraphs(_ROLES):
        namespace, _, name = qualified.partition("/")
        yield _object("Role", name, namespace=namespace, rules=rules)
        if name.startswith(_CONTROLLER):
            subjects = [_service_account(name.removeprefix(_CONTROLLER))]
            yield _binding("RoleBinding", name, ("Role", name), subjects, namespace)
    for leader in _LEADERS:
        name = f"system::leader-locking-{leader}"
        subjects = [_subject("User", f"system:{leader}"), _service_account(leader)]
        yield _binding("RoleBinding", name, ("Role", name), subjects, "kube-system")
    reader, name = "extension-apiserver-authentication-reader", "system::extension-apiserver-authentication-reader"
    users = [_subject("User", f"system:{leader}") for leader in _LEADERS]
    yield _binding("RoleBinding", name, ("Role", reader), users, "kube-system")


def _paragraphs(table: str) -> Iterator[tuple[str, list[Object]]]:
    for paragraph in table.strip().split("\n\n"):
        name, *lines = paragraph.replace("\n  ", " ").splitlines()
        yield name, [_rule(_EVENTS if line == "EVENTS" else line) for line in lines]


def _rule(line: str) -> Object:
    verbs, *rest = (part.split() for part in line.split(": "))
    named = {"verbs": _VERBS.get(verbs[0], " ".join(verbs)).split()}
    if len(rest) == 1:
        return {"nonResourceURLs": rest[0], **named}
    groups, resources, *names = rest
    rule = {"apiGroups": [_SHORT.get(group, group) for group in groups], "resources": resources}
    return {**rule, **({"resourceNames": names[0]} if names else {}), **named}


def _aggregates(part: str) -> dict[str, str]:
    return {f"{RBAC}/{part}": "true"} if part else {}


def _object(kind: str, name: str, *, namespace: str = "", labels: dict[str, str] | None = None, **body: Any) -> Object:
    metadata: Object = {
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults", **(labels or {})},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    }
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata, **body}


def _binding(
    kind: str, name: str, role: tuple[str, str], subjects: list[dict[str, str]], namespace: str = ""
) -> Object:
    role_ref = {"apiGroup": RBAC, "kind": role[0], "name": role[1]}
    body: Object = {"roleRef": role_ref, **({"subjects": subjects} if subjects else {})}
    return _object(kind, name, namespace=namespace, **body)


def _subject(kind: str, name: str) -> dict[str, str]:
    return {"apiGroup": RBAC, "kind": kind, "name": name}


def _service_account(name: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "namespace": "kube-system", "name": name}
