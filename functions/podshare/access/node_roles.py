"""Who may come to a cluster as one of its nodes, beside the nodes: whoever else the role of nodes lets in.

Whoever comes as a node may read the secrets of the pods that run there, and make tokens of their service accounts
(Kubernetes documentation, "Using Node Authorization"). EKS knows a node by its role and by the name of its session,
which whoever assumes the role chooses (EKS user guide, "Create access entries", username).
"""

from podshare.policy import policies
from podshare.policy.policies import Document, Statement

SERVICES = "Service"  # they give the role to nodes


def strangers(trust: Document) -> tuple[str, ...]:
    """Whom a trust lets in but services."""
    allowed = (statement for statement in policies.statements(trust) if statement["Effect"] == "Allow")
    named = (_principals(statement) for statement in allowed)
    return tuple(sorted({who for by in named for kind, listed in by.items() if kind != SERVICES for who in listed}))


def filter_without_strangers(trust: Document) -> str:
    """The filter of jq that takes them out of a trust; empty if nobody would be left: then the role is no nodes'."""
    deleted, is_of_nodes = list[str](), False
    for number, statement in enumerate(policies.statements(trust)):
        kinds = _principals(statement).keys() if statement["Effect"] == "Allow" else {SERVICES}
        is_of_nodes = is_of_nodes or (SERVICES in kinds and statement["Effect"] == "Allow")
        if SERVICES in kinds:
            deleted += [f".Statement[{number}].Principal.{kind}" for kind in sorted(kinds - {SERVICES})]
        else:
            deleted.append(f".Statement[{number}]")
    return f"del({', '.join(deleted)})" if is_of_nodes else ""


def _principals(statement: Statement) -> dict[str, list[str]]:
    principals: dict[str, list[str]] = policies.canonical_statement(statement).get("Principal", {"AWS": ["*"]})
    return principals
