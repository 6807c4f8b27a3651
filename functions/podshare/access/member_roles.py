"""Who may act as podshare in a cluster: by accounts/member.yaml the hub's functions, and nobody else."""

from podshare.installation import Installation
from podshare.policy import policies
from podshare.policy.policies import Document, Statement


def strangers(installation: Installation, trust: Document) -> tuple[str, ...]:
    """Whom the trust of a member role lets in by statements that are not as deployed."""
    named = (meaning.get("Principal", {"AWS": ["*"]}) for meaning in _strange(installation, trust).values())
    return tuple(sorted({who for principals in named for listed in principals.values() for who in listed}))


def filter_without_strangers(installation: Installation, trust: Document) -> str:
    """The filter of jq that takes these statements out; empty if none would be left."""
    strange = _strange(installation, trust)
    paths = ", ".join(f".Statement[{number}]" for number in strange)
    return f"del({paths})" if len(strange) < len(policies.statements(trust)) else ""


def _strange(installation: Installation, trust: Document) -> dict[int, Statement]:
    """The statements that are not as deployed, in canonical form, by their places in the trust."""
    meanings = enumerate(map(policies.canonical_statement, policies.statements(trust)))
    return {number: meaning for number, meaning in meanings if not _is_deployed(installation, meaning)}


def _is_deployed(installation: Installation, meaning: Statement) -> bool:
    """Whether a statement lets in functions of the hub alone, while it is in the organization; or it only denies."""
    condition = meaning.get("Condition", {})
    functions = condition.get("ArnEquals", {}).get("aws:principalarn", ())
    own = installation.member_role_arn(installation.account, "")
    return meaning["Effect"] == "Deny" or (
        meaning.get("Principal") == {"AWS": [installation.root_arn(installation.account)]}
        and condition.get("StringEquals", {}).get("aws:principalorgid") == [installation.organization]
        and bool(functions)
        and all(arn.startswith(own) and not {*arn} & {*"*?$"} for arn in functions)
    )
