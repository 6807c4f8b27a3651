"""Who reaches what is worked out from documents, never too little, and what nobody granted stands out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podshare.access.access_report import AccessReport, beyond, digest, packed, refusals, unpacked
from podshare.access.effective_access import Access, by_pods, effective_access, in_bucket, in_cluster
from podshare.kinds.access_entry.shape import AccessEntry
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Kind, Resource, Stage
from podshare.kinds.desired import desired
from podshare.kinds.foreign_subjects.shape import ForeignSubjects
from podshare.kinds.kubernetes_role_binding.shape import KubernetesRoleBinding
from podshare.kinds.namespace.shape import Namespace
from podshare.kinds.pod_identity_association.shape import PodIdentityAssociation
from podshare.kinds.role.shape import Role
from podshare.kinds.shapes import SHAPES
from podshare.policy import policies
from podshare.reconcile.plan import Action, plan
from tests.builders import CLUSTER, INSTALLATION, a_dataset, a_team

DATASETS = {"imagenet": a_dataset(), "crawl": a_dataset("crawl", bucket="web-text-333333333333")}
Things = dict[Any, Resource]


def things(name: str = "vision", **fields: Any) -> Things:
    return desired(a_team(name, **fields), [CLUSTER], DATASETS, {}, INSTALLATION)


VISION = things(service_accounts=[
    {"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read"}]},
    {"name": "curator", "datasets": [{"dataset": "imagenet", "access": "read_write", "prefix": "imagenet/drafts/"}]},
])  # fmt: skip
LANGUAGE = things(
    "language",
    members=[{"account": "555555555555"}],
    service_accounts=[{"name": "trainer", "datasets": [{"dataset": "crawl", "access": "read"}]}],
)
WANTED = effective_access([*VISION.values()], VISION, INSTALLATION)


def reached(observed: Iterable[Resource]) -> tuple[Access, ...]:
    return effective_access([*observed], VISION, INSTALLATION)


def proven(team: str, observed: Things, wanted: Things, others: Mapping[str, Any]) -> AccessReport:
    found = effective_access([*observed.values()], wanted, INSTALLATION)
    excess = beyond(found, effective_access([*wanted.values()], wanted, INSTALLATION))
    at = "2026-11-21T12:00:00+00:00"
    return AccessReport(team, at, found, excess, (), (), refusals(found, excess, others))


def changed(old: Resource, new: Resource) -> Things:
    assert old.key == new.key
    return {**VISION, new.key: new}


def one(shape: type[Any], why: str = "") -> Any:
    return next(found for found in VISION.values() if isinstance(found, shape) and found.why.startswith(why))


def with_statement(document: Any, **statement: Any) -> dict[str, Any]:
    return policies.document(*policies.statements(document), {"Effect": "Allow", **statement})  # type: ignore[return-value]


def test_the_proof_of_a_team_is_as_reviewed(golden: Callable[[str, Any], None]) -> None:
    """People, pods and refusals of a team beside another one."""
    other = proven("language", LANGUAGE, LANGUAGE, {}).as_dict()
    golden("proof", proven("vision", VISION, VISION, {"language": other}).as_dict())


def test_every_kind_is_looked_at() -> None:
    """A new kind either gives something, and the proof says what, or is known to give nothing by itself."""
    assert [kind for kind, shape in SHAPES.items() if "gives" not in vars(shape)] == []
    assert all(SHAPES[found.key.kind].gives for found in VISION.values() if reached([found]))


def test_a_pod_reaches_what_role_and_access_point_both_allow() -> None:
    """Neither alone is enough, and of two prefixes the narrower counts."""
    trainer = {(found.may, found.what) for found in WANTED if in_bucket(found) and found.who.endswith(":trainer")}
    assert trainer == {(("list", "read"), "imagenet/*")}
    role, point = one(Role, "service account trainer"), one(AccessPoint)
    for less in (replace(role, policies={}), replace(point, policy=None)):
        rest = reached({**VISION, less.key: less}.values())
        assert not [found for found in rest if in_bucket(found) and found.who.endswith(":trainer")]
    narrow = policies.document(
        *policies.data_statements(
            (arn := f"arn:aws:s3:us-west-2:333333333333:accesspoint/{point.key.name}"),
            f"{arn}/object",
            reads=["imagenet/val/"],
            sid="x",
        )
    )
    fewer = reached(changed(role, replace(role, policies={"dataset-imagenet": narrow})).values())
    assert {found.what for found in fewer if in_bucket(found) and found.who.endswith(":trainer")} == {"imagenet/val/*"}


def test_a_pod_reaches_what_its_target_role_may() -> None:
    """Data through a role in their owner's account are told by bucket and keys, with both roles on the way."""
    datasets = {"imagenet": a_dataset(data_role="target")}
    found = desired(a_team(), [CLUSTER], datasets, {}, INSTALLATION)
    by_user = {one.who: one for one in effective_access([*found.values()], found, INSTALLATION) if in_bucket(one)}
    data = by_user["system:serviceaccount:hyperpod-ns-vision:trainer"]
    assert (data.may, data.what) == (("list", "read"), "imagenet/*")
    assert len(by_user) == 2, "besides the pod only its data role, which pods alone are in"
    assert data.where == f"arn:aws:s3:::{datasets['imagenet'].bucket}"
    assert [role.split(":")[4] for role in data.through] == ["333333333333"]
    role = next(key for key in found if key.kind is Kind.ROLE and key.account == "333333333333")
    without = {key: one for key, one in found.items() if key != role}
    assert not [one for one in effective_access([*without.values()], found, INSTALLATION) if in_bucket(one)]


def test_what_a_group_may_do_is_told_by_its_role() -> None:
    """A group has what its binding's Role says, in its namespace; another Role's or subject's stands out."""
    rules = [{"api_groups": [""], "resources": ["pods/log"], "verbs": ["get"]}]
    found = things(kubernetes_groups=["podshare:vision:ops"], rbac=[{"group": "podshare:vision:ops", "rules": rules}])
    wanted = effective_access([*found.values()], found, INSTALLATION)
    (group,) = [each for each in wanted if each.who == "podshare:vision:ops"]
    assert (group.may, group.what) == (("get pods/log",), "hyperpod-ns-vision")
    assert not [*by_pods([group], wanted)]
    binding = next(each for each in found.values() if isinstance(each, KubernetesRoleBinding))
    for other in (replace(binding, role="ClusterRole admin"), replace(binding, subjects=frozenset({"Group x"}))):
        widened = effective_access([*{**found, binding.key: other}.values()], found, INSTALLATION)
        assert [each.what for each in beyond(widened, wanted)] == ["hyperpod-ns-vision"]


def test_another_teams_people_in_a_binding_are_beyond_what_is_granted() -> None:
    """Whom a binding names of another team has its role in the namespace, which goes in the first stage."""
    namespace = next(each for each in VISION.values() if isinstance(each, Namespace))
    bound = frozenset({("theirs", "ClusterRole edit", "Group podshare:audio:ops")})
    foreign = ForeignSubjects(key=replace(namespace.key, kind=Kind.FOREIGN_SUBJECTS), bound=bound)
    excess = beyond(reached([*VISION.values(), foreign]), reached(VISION.values()))
    assert [(each.who, each.may, each.what) for each in excess] == [
        ("podshare:audio:ops", ("ClusterRole edit",), "hyperpod-ns-vision")
    ]
    revoke = plan(VISION, {**VISION, foreign.key: foreign}).revoke
    ((change,),) = revoke.values()
    assert [*revoke] == [Stage.CLUSTER_ACCESS]
    assert (change.action, change.why) == (Action.DELETE, "no record lets other teams in")


def test_within_an_account_either_policy_is_enough() -> None:
    """Data in the cluster's own account is reached by the role's policy alone (IAM user guide)."""
    home = {"imagenet": a_dataset(account="111111111111")}
    found = desired(a_team(), [CLUSTER], home, {}, INSTALLATION)
    point = next(each for each in found.values() if isinstance(each, AccessPoint))
    rest = effective_access([*{**found, point.key: replace(point, policy=None)}.values()], found, INSTALLATION)
    assert {(each.may, each.what) for each in rest if in_bucket(each)} == {(("list", "read"), "imagenet/*")}


def test_without_an_association_or_an_entry_a_role_leads_nowhere() -> None:
    """A trust lets pods in only with an association, an entry lets people in only while it is alive."""
    association, entry = one(PodIdentityAssociation, "service account trainer"), one(AccessEntry)
    rest = reached(found for found in VISION.values() if found is not association)
    assert not [found for found in rest if in_bucket(found) and found.who.endswith(":trainer")]
    dead = reached(changed(entry, replace(entry, alive=False)).values())
    assert not [found for found in dead if in_cluster(found) and entry.key.name in found.through]


def test_nobody_is_in_a_role_that_is_gone() -> None:
    """An access point that still names it, or the id that IAM leaves in its place, lets nobody in."""
    role, point = one(Role, "service account trainer"), one(AccessPoint)
    rest = {key: found for key, found in VISION.items() if key != role.key}
    assert proven("vision", rest, VISION, {}).holds
    named = with_statement(point.policy, Principal={"AWS": "AROAEXAMPLEEXAMPLE123"}, Action="s3:*", Resource="*")
    assert proven("vision", {**rest, point.key: replace(point, policy=named)}, VISION, {}).holds


LANGUAGES_ROOT = "arn:aws:iam::555555555555:root"
LANGUAGES_ROLE = "arn:aws:iam::111111111111:role/podshare/podshare-language-12345678"
POINT = "arn:aws:s3:us-west-2:333333333333:accesspoint"
WIDENED: list[tuple[str, Callable[[], Things], str]] = [
    (
        "a trust that names another account",
        lambda: changed(r := one(Role, "member"), replace(r, trust=with_statement(r.trust, Principal={"AWS": LANGUAGES_ROOT}, Action="sts:AssumeRole"))),
        "may assume, from outside of the organization",
    ),
    (
        "a trust whose condition on the principal is gone",
        lambda: changed(r := one(Role, "member 222222222222"), replace(r, trust=policies.trust_whole_account(INSTALLATION, "222222222222"))),
        "arn:aws:iam::222222222222:root may",
    ),
    (
        "a trust that asks for no namespace",
        lambda: changed(r := one(Role, "service account trainer"), replace(r, trust=with_statement(r.trust, Principal={"Service": "pods.eks.amazonaws.com"}, Action="sts:AssumeRole"))),
        "system:serviceaccount:*:* may assume, from any cluster",
    ),
    (
        "a trust in everybody",
        lambda: changed(r := one(Role, "service account trainer"), replace(r, trust=with_statement(r.trust, Principal="*", Action="sts:AssumeRole"))),
        "* may list, read in arn:aws:s3:::curated-images-333333333333 imagenet/*",
    ),
    (
        "an entry in another namespace",
        lambda: changed(e := one(AccessEntry), replace(e, policies={**e.policies, "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy": ("hyperpod-ns-language",)})),
        "may AmazonEKSViewPolicy in arn:aws:eks:us-west-2:111111111111:cluster/hyperpod-eks hyperpod-ns-language",
    ),
    (
        "an entry with a group",
        lambda: changed(e := one(AccessEntry), replace(e, groups=frozenset({"system:masters"}))),
        "group system:masters",
    ),
    (
        "an access point that names a foreign role",
        lambda: changed(p := one(AccessPoint), replace(p, policy=with_statement(p.policy, Principal={"AWS": LANGUAGES_ROLE}, Action="s3:*", Resource="*"))),
        f"{LANGUAGES_ROLE} may list, read, write, s3:* in arn:aws:s3:::curated-images-333333333333",
    ),
    (
        "a role that may more",
        lambda: changed(r := one(Role, "service account trainer"), replace(r, policies={**r.policies, "more": policies.document({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})})),
        "system:serviceaccount:hyperpod-ns-vision:trainer may * in *",
    ),
    (
        "a role with a managed policy",
        lambda: changed(r := one(Role, "member"), replace(r, attached=frozenset({"arn:aws:iam::aws:policy/AdministratorAccess"}))),
        "may whatever it allows in arn:aws:iam::aws:policy/AdministratorAccess",
    ),
    (
        "an association that gives another role",
        lambda: changed(a := one(PodIdentityAssociation, "service account trainer"), replace(a, role_arn=one(PodIdentityAssociation, "service account curator").role_arn)),
        "",  # the trust of that role asks for its own service account
    ),
]  # fmt: skip


@pytest.mark.parametrize(("observed", "told"), [case[1:] for case in WIDENED], ids=[case[0] for case in WIDENED])
def test_what_nobody_granted_is_found(observed: Callable[[], Things], told: str) -> None:
    """Each way to let somebody further in is told, with who it is and what they reach; the proof then fails."""
    proof = proven("vision", observed(), VISION, {})
    assert proof.holds is not bool(told)
    assert any(told in each["what"] for each in proof.broken) == bool(told), [each["what"] for each in proof.broken]


def test_a_refusal_that_does_not_hold_is_told_on_both_sides() -> None:
    """The proof of whose documents let somebody in fails; the other's tells it, and holds."""
    entry = one(AccessEntry)
    view = {"arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy": ("hyperpod-ns-language",)}
    wide = changed(entry, replace(entry, policies={**entry.policies, **view}))
    other = proven("language", LANGUAGE, LANGUAGE, {})
    broken = proven("vision", wide, VISION, {"language": other.as_dict()})
    assert (broken.holds, [bool(each.broken) for each in broken.refusals]) == (False, [True])
    told = proven("language", LANGUAGE, LANGUAGE, {"vision": broken.as_dict()})
    assert (told.holds, [bool(each.broken) for each in told.refusals]) == (True, [True])
    third = proven("audio", things("audio", members=[]), things("audio", members=[]), {"vision": broken.as_dict()})
    assert [each.broken for each in third.refusals] == [()]


def test_what_both_teams_were_granted_is_shared() -> None:
    """A dataset, or a principal that works for both, is no breach."""
    both = [{"account": "222222222222", "existing_role": "Researcher"}]
    grants = [{"name": "reader", "datasets": [{"dataset": "imagenet", "access": "read"}]}]
    ones, others = (things(name, members=both, service_accounts=grants) for name in ("vision", "language"))
    (refusal,) = proven("vision", ones, ones, {"language": proven("language", others, others, {}).as_dict()}).refusals
    assert refusal.broken == ()
    shared = ("arn:aws:iam::222222222222:role/Researcher", "curated-images-333333333333/imagenet/*")
    assert refusal.shared == shared


def test_an_outline_tells_others_as_much_as_the_proof() -> None:
    """Where nobody has what was not granted, teams find in each other's outlines what they find in the documents."""
    both = [{"account": "222222222222", "existing_role": "Researcher"}]
    grants = [{"name": "reader", "datasets": [{"dataset": "imagenet", "access": "read", "prefix": "imagenet/a/"}]}]
    shared = things("audio", members=both, service_accounts=grants)
    teams = {"vision": VISION, "language": LANGUAGE, "audio": shared, "nobody": things("nobody", members=[])}
    proofs = {name: proven(name, found, found, {}) for name, found in teams.items()}
    documents = {name: proof.as_dict() for name, proof in proofs.items()}
    outlines = {name: proof.summary_for_others() for name, proof in proofs.items()}
    for name, found in teams.items():
        of_documents = proven(name, found, found, documents)
        assert proven(name, found, found, outlines) == of_documents
        assert any(each.shared for each in of_documents.refusals)


def test_outlines_of_a_thousand_teams_are_one_page() -> None:
    """What a run reads of a thousand teams of this size fits into one page of DynamoDB's, 1 MB, with room to spare."""
    proof = proven("vision", VISION, VISION, {})
    assert 1000 * len(packed(proof.summary_for_others())) < 2**20 / 2


def test_whoever_may_make_pods_reaches_what_they_read() -> None:
    """A member of the team reads by its service accounts; one who may only look, or of another team, does not."""
    people, data = [each for each in WANTED if in_cluster(each)], [each for each in WANTED if in_bucket(each)]
    assert {each.what for each in by_pods(people, data)} == {"imagenet/*", "imagenet/drafts/*"}
    viewers = effective_access([*things(access="view").values()], VISION, INSTALLATION)
    assert not list(by_pods([each for each in viewers if in_cluster(each)], data))
    strangers = effective_access([*LANGUAGE.values()], LANGUAGE, INSTALLATION)
    assert not list(by_pods([each for each in strangers if in_cluster(each)], data))


def test_the_same_facts_have_the_same_hash_at_any_time() -> None:
    """The hash is of what a proof says, so that two nights are compared by it."""
    proof = proven("vision", VISION, VISION, {})
    later = replace(proof, read_at="2026-11-22T12:00:00+00:00")
    assert digest(proof.as_dict()) == digest(later.as_dict()) == proof.summary()["digest"]
    assert digest(proof.as_dict()) != digest(proven("vision", LANGUAGE, VISION, {}).as_dict())
    assert unpacked(packed(proof.as_dict())) == proof.as_dict()


def test_the_greatest_team_fits_into_a_state_item() -> None:
    """500 members and 80 service accounts with 50 datasets each: far below DynamoDB's 400 KB, and the summary is small."""
    datasets = {f"d{number}": a_dataset(f"d{number}", bucket=f"bucket-{number}") for number in range(50)}
    grants = [{"dataset": name, "access": "read_write"} for name in datasets]
    team = a_team(
        members=[{"account": f"{number:012}"} for number in range(500)],
        service_accounts=[{"name": f"s{number}", "datasets": grants} for number in range(80)],
    )
    wanted = desired(team, [CLUSTER], datasets, {}, INSTALLATION)
    proof = proven("vision", wanted, wanted, {})
    assert len(proof.access) > 5000
    assert 2 * len(packed(proof.as_dict())) < 380_000
    assert len(str(proof.summary())) < 1000


PATTERN = st.text("ab*?", max_size=7)


@given(PATTERN, PATTERN, st.text("ab", max_size=6))
def test_patterns_overlap_if_a_text_matches_both(one: str, other: str, text: str) -> None:
    """Two patterns that match a text in common overlap, whatever their order."""
    if policies.covers(one, text) and policies.covers(other, text):
        assert policies.overlap(one, other)
        assert policies.overlap(other, one)


def test_patterns_that_match_nothing_in_common_do_not_overlap() -> None:
    """A prefix beside another one, and a name that only begins alike."""
    for pair in (("imagenet/*", "crawl/*"), ("hyperpod-ns-vision", "hyperpod-ns-vision-labs"), ("a*b", "b*a")):
        assert not policies.overlap(*pair)
