"""Pod Security Admission: what a pod may not ask of its node (``baseline``), and has to renounce (``restricted``).

Kubernetes documentation, "Pod Security Standards" and "Pod Security Admission". Not emulated: versions, exemptions, and
the warnings for workloads that would make such pods.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Object = Mapping[str, Any]

LABEL = "pod-security.kubernetes.io/"
LEVELS = ("privileged", "baseline", "restricted")
_HOST = ("hostNetwork", "hostPID", "hostIPC")
_CAPABILITIES = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip
_SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
_SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}  # fmt: skip


def refusal(labels: Mapping[str, str], mode: str, pod: Object) -> str | None:
    """Why a namespace with these labels refuses a pod, or in mode ``warn`` would; None if it does not."""
    level = labels.get(f"{LABEL}{mode}", "privileged")
    if level == "privileged":
        return None
    spec = pod.get("spec") or {}
    found = [*_of_the_pod(spec), *_of_containers(spec), *(_not_renounced(spec) if level == "restricted" else ())]
    return f'violates PodSecurity "{level}:latest": {", ".join(found)}' if found else None


def _not_renounced(spec: Object) -> Iterator[str]:
    """What the level ``restricted`` asks for beside ``baseline``."""
    if other := [one["name"] for one in spec.get("volumes") or () if not _VOLUMES & one.keys() and len(one) > 1]:
        yield f"restricted volume types (volumes {', '.join(other)})"
    whole = spec.get("securityContext") or {}
    if whole.get("runAsUser") == 0:
        yield "runAsUser=0 (pod must not set runAsUser=0)"
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(kind) or ():
            yield from _container_not_renounced(container, whole)


def _container_not_renounced(container: Object, whole: Object) -> Iterator[str]:
    who, context = f'container "{container["name"]}"', container.get("securityContext") or {}
    capabilities = context.get("capabilities") or {}
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"allowPrivilegeEscalation != false ({who} must set securityContext.allowPrivilegeEscalation=false)"
    if "ALL" not in (capabilities.get("drop") or ()) or set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}:
        yield f'unrestricted capabilities ({who} must set securityContext.capabilities.drop=["ALL"])'
    if context.get("runAsNonRoot", whole.get("runAsNonRoot")) is not True:
        yield f"runAsNonRoot != true (pod or {who} must set securityContext.runAsNonRoot=true)"
    if context.get("runAsUser") == 0:
        yield f"runAsUser=0 ({who} must not set runAsUser=0)"
    profile = context.get("seccompProfile") or whole.get("seccompProfile") or {}
    if profile.get("type") not in ("RuntimeDefault", "Localhost"):
        wanted = 'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        yield f"seccompProfile (pod or {who} must set {wanted})"


def _of_the_pod(spec: Object) -> Iterator[str]:
    if shared := [name for name in _HOST if spec.get(name)]:
        yield f"host namespaces ({', '.join(f'{name}=true' for name in shared)})"
    if volumes := [volume["name"] for volume in spec.get("volumes") or () if "hostPath" in volume]:
        yield f"hostPath volumes (volume {', '.join(volumes)})"
    context = spec.get("securityContext") or {}
    yield from _of_a_context(context, "pod")
    if unsafe := [one["name"] for one in context.get("sysctls") or () if one["name"] not in _SYSCTLS]:
        yield f"forbidden sysctls ({', '.join(unsafe)})"


def _of_containers(spec: Object) -> Iterator[str]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(kind) or ():
            who, context = f'container "{container["name"]}"', container.get("securityContext") or {}
            yield from _of_a_context(context, who)
            if context.get("privileged"):
                yield f"privileged ({who} must not set securityContext.privileged=true)"
            added = set((context.get("capabilities") or {}).get("add") or ()) - _CAPABILITIES
            if added:
                yield f"non-default capabilities ({who} must not include {', '.join(sorted(added))})"
            if context.get("procMount", "Default") != "Default":
                yield f"procMount ({who} must not set securityContext.procMount)"
            if ports := [port["hostPort"] for port in container.get("ports") or () if port.get("hostPort")]:
                yield f"hostPort ({who} uses hostPort {', '.join(map(str, ports))})"


def _of_a_context(context: Object, who: str) -> Iterator[str]:
    if (context.get("seccompProfile") or {}).get("type") == "Unconfined":
        yield f"seccompProfile ({who} must not set type Unconfined)"
    if (context.get("appArmorProfile") or {}).get("type") == "Unconfined":
        yield f"forbidden AppArmor profile ({who})"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield f"hostProcess ({who} must not set hostProcess=true)"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in _SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield f"seLinuxOptions ({who} set forbidden options)"
