"""Network policies (``pkg/apis/networking/validation`` of Kubernetes)."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from podshare_sandbox.services.kubernetes.field_problems import Problem, forbidden, invalid, required, unsupported
from podshare_sandbox.services.kubernetes.validation import label_selectors

Object = dict[str, Any]
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PROTOCOLS, _TYPES = ("SCTP", "TCP", "UDP"), ("Egress", "Ingress")
_SIDES = (("ingress", "from"), ("egress", "to"))
_PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?")


def fill_in(policy: Object) -> None:
    """Set the defaults: a selector of all pods, TCP, and what a policy without types is about."""
    spec = policy.setdefault("spec", {})
    spec.setdefault("podSelector", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    for direction, _ in _SIDES:
        for rule in spec.get(direction) or ():
            for port in rule.get("ports") or ():
                port.setdefault("protocol", "TCP")


def problems(policy: Object) -> Iterator[Problem]:
    """What is wrong with a NetworkPolicy."""
    spec = policy["spec"]
    yield from label_selectors.problems(spec["podSelector"], "spec.podSelector")
    for direction, side in _SIDES:
        for index, rule in enumerate(spec.get(direction) or []):
            field = f"spec.{direction}[{index}]"
            for number, port in enumerate(rule.get("ports") or []):
                yield from _port(port, f"{field}.ports[{number}]")
            for number, peer in enumerate(rule.get(side) or []):
                yield from _peer(peer, f"{field}.{side}[{number}]")
    if len(spec["policyTypes"]) > len(_TYPES):
        yield invalid("spec.policyTypes", spec["policyTypes"], "may not specify more than two policyTypes")
    for index, kind in enumerate(spec["policyTypes"]):
        if kind not in _TYPES:
            yield unsupported(f"spec.policyTypes[{index}]", kind, _TYPES)


def _port(port: Object, field: str) -> Iterator[Problem]:
    if port["protocol"] not in _PROTOCOLS:
        yield unsupported(f"{field}.protocol", port["protocol"], _PROTOCOLS)
    number, end = port.get("port"), port.get("endPort")
    if isinstance(number, int):
        yield from _in_range(f"{field}.port", number)
        if end is not None and end < number:
            yield invalid(f"{field}.endPort", end, "must be greater than or equal to `port`")
    elif number is not None and not _PORT_NAME.fullmatch(number):
        yield invalid(f"{field}.port", number, "must be an IANA_SVC_NAME (e.g. 'http')")
    if end is not None:
        yield from _in_range(f"{field}.endPort", end)
        if number is None:
            yield required(f"{field}.port", "must be specified when `endPort` is specified")
        elif isinstance(number, str):
            yield invalid(f"{field}.endPort", end, "may not be specified when `port` is non-numeric")


def _in_range(field: str, port: int) -> Iterator[Problem]:
    if not 1 <= port <= 65535:
        yield invalid(field, port, "must be between 1 and 65535, inclusive")


def _peer(peer: Object, field: str) -> Iterator[Problem]:
    chosen = [name for name in ("podSelector", "namespaceSelector") if peer.get(name) is not None]
    for name in chosen:
        yield from label_selectors.problems(peer[name], f"{field}.{name}")
    if peer.get("ipBlock") is not None:
        yield from _ip_block(peer["ipBlock"], f"{field}.ipBlock")
        if chosen:
            yield forbidden(field, "may not specify both ipBlock and another peer")
    elif not chosen:
        yield required(field, "must specify a peer")


def _ip_block(block: Object, field: str) -> Iterator[Problem]:
    if not block.get("cidr"):
        yield required(f"{field}.cidr")
        return
    outer = _network(block["cidr"])
    if outer is None:
        yield invalid(f"{field}.cidr", block["cidr"], "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")
        return
    for index, text in enumerate(block.get("except") or []):
        inner = _network(text)
        if inner is None:
            detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            yield invalid(f"{field}.except[{index}]", text, detail)
        elif not _lies_in(inner, outer):
            yield invalid(f"{field}.except[{index}]", text, "must be a strict subset of `cidr`")


def _network(text: str) -> _Network | None:
    try:
        return ipaddress.ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None


def _lies_in(one: _Network, outer: _Network) -> bool:
    if isinstance(one, ipaddress.IPv4Network):
        return isinstance(outer, ipaddress.IPv4Network) and one != outer and one.subnet_of(outer)
    return isinstance(outer, ipaddress.IPv6Network) and one != outer and one.subnet_of(outer)
