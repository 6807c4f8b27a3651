"""Who wrote what a record says is whoever declared that, and nobody else."""

from decimal import Decimal
from typing import Any

import pytest

from podshare.aws.rows import from_item, to_item
from podshare.registry.declared import declaration_of, digest_of
from tests.builders import a_team_item

ADA = "arn:aws:iam::111111111111:user/ada"
AT = "2026-11-29T00:00:00Z"


def signed(version: int, **fields: Any) -> dict[str, Any]:
    """A record as the command writes it."""
    item = a_team_item(changed_by=ADA, **fields)
    change = {"version": version, "at": AT, "reason": "first", "digest": digest_of(from_item(to_item(item)))}
    return from_item(to_item({**item, "change": change}))


def test_what_a_writer_declared_is_theirs() -> None:
    """Of a record as the command wrote it, with or without the version before it, in the numbers of the table."""
    expected = {"by": ADA, "reason": "first", "at": AT, "version": 2}
    quota = {"resources": [{"instance_type": "ml.p5.48xlarge", "count": 2.0}], "fair_share_weight": Decimal("10.50")}
    assert declaration_of(signed(2, quota=quota)) == expected
    assert declaration_of(signed(2), signed(1)) == expected
    assert declaration_of(signed(2), {}) == expected
    without = {**signed(2), "change": {"version": 2, "at": AT, "reason": "first"}}
    assert declaration_of(without) == expected  # of a command that declared no digest


@pytest.mark.parametrize(
    "edited",
    [
        {**signed(1), "owner": "robin"},
        {**signed(1), "changed_by": "arn:aws:iam::111111111111:user/eve"},
        {**signed(1), "expires": "2031-01-01T00:00:00Z"},
        {name: value for name, value in signed(1).items() if name != "members"},
        {**signed(1), "change": {**signed(1)["change"], "digest": 7}},
    ],
    ids=["changed", "another writer", "added", "removed", "no digest"],
)
def test_what_was_changed_since_is_nobodys(edited: dict[str, Any]) -> None:
    """What the digest does not fit is not what the declared writer wrote, whether or not the former is known."""
    assert declaration_of(edited) == {}
    assert declaration_of(edited, signed(1)) == {}


def test_a_declaration_is_of_one_write() -> None:
    """What the version before declared too, or a later one than that, declares nothing of this write."""
    old = {**a_team_item(changed_by=ADA), "change": {"version": 3, "at": AT}}
    assert declaration_of({**old, "owner": "robin"}, old) == {}
    assert declaration_of(signed(1), signed(3)) == {}
    assert declaration_of(a_team_item(changed_by=ADA), a_team_item(changed_by=ADA, owner="robin")) == {}
    assert declaration_of(a_team_item(changed_by=ADA), a_team_item()) == {"by": ADA}
    assert declaration_of(a_team_item(changed_by=ADA), signed(3)) == {"by": ADA}


@pytest.mark.parametrize("change", [None, 7, [], {"version": True, "reason": 7}, {"version": 10**30, "at": b"x"}])
def test_whatever_stands_in_it_is_no_error(change: object) -> None:
    """A record may say anything; what is no text or number of a writer is left out."""
    assert declaration_of({**a_team_item(changed_by=ADA), "change": change}) == {"by": ADA}
    assert declaration_of({"id": "team#vision", "changed_by": 7}) == {}
