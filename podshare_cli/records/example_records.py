"""A record of each kind with every field that it may have, for explanations and schemas.

Fields that exclude each other are in different lines or records. That these records are valid, and that no field lacks
an example, is tested.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Item = dict[str, Any]

_WRITTEN: Item = {
    "schema": 1,
    "changed_by": "arn:aws:iam::111111111111:user/priya",
    "change": {
        "version": 3,
        "at": "2026-11-30T09:00:00Z",
        "reason": "Quotas of the first quarter",
        "author": "priya@example.com",
        "commit": "1c32fcea5632c2cc7d2a78d391a5cc97ed9fcf2c",
        "source": {"repository": "github.com/example/records", "path": "records/team-vision.yaml"},
        "digest": "9f2c7d51c1f0b6a4e8d3b27a5c90e4f16a83d0b5e7c2914f38ad6b0c5e19f742",
    },
}
_QUOTA: Item = {
    "name": "vision-quota",
    "description": "Image models",
    "resources": [
        {"instance_type": "ml.p5.48xlarge", "count": 4},
        {"instance_type": "ml.g5.12xlarge", "accelerators": 8, "vcpu": 96, "memory_gib": 384},
        {"instance_type": "ml.p4d.24xlarge", "accelerator_partition": {"type": "mig-1g.5gb", "count": 7}},
    ],
    "fair_share_weight": 60,
    "sharing": {
        "strategy": "LendAndBorrow",
        "borrow_limit": 50,
        "absolute_borrow_limits": [{"instance_type": "ml.g5.12xlarge", "accelerators": 8}],
    },
    "preempt_team_tasks": "LowerPriority",
    "active": True,
}
_OF_ANY_TEAM: Item = {
    "cluster": "main",
    "quota": _QUOTA,
    "owner": "priya@example.com",
    "reason": "Trains the image models",
    "access": "training",
    "service_accounts": [
        {
            "name": "trainer",
            "datasets": [
                {"dataset": "imagenet", "access": "read"},
                {
                    "dataset": "drafts",
                    "access": "read_write",
                    "prefix": "drafts/vision/",
                    "expires": "2031-01-31T18:00:00Z",
                },
            ],
        }
    ],
}

EXAMPLES: Mapping[str, Sequence[Item]] = {
    "cluster": [
        {
            "id": "cluster#main",
            **_WRITTEN,
            "account": "111111111111",
            "region": "us-west-2",
            "eks_cluster": "hyperpod-eks",
            "hyperpod_cluster": "hyperpod",
            "over_commitment": "refuse",
            "scheduler": {
                "description": "How teams share the cluster",
                "priority_classes": [{"name": "inference", "weight": 90}, {"name": "training", "weight": 60}],
                "fair_share": True,
                "idle_resource_sharing": True,
            },
            "namespace_hardening": "report",
            "kubernetes_api": True,
            "administrators": ["arn:aws:iam::111111111111:role/ClusterAdmin"],
        }
    ],
    "dataset": [
        {
            "id": "dataset#imagenet",
            **_WRITTEN,
            "account": "333333333333",
            "region": "us-west-2",
            "bucket": "curated-images-333333333333",
            "prefix": "imagenet/",
            "kms_key": "arn:aws:kms:us-west-2:333333333333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "vpc": "vpc-0a1b2c3d4e5f60001",
            "data_role": "access_point",
            "other_principals": ["arn:aws:iam::333333333333:role/Curator"],
        }
    ],
    "team": [
        {
            "id": "team#vision",
            **_WRITTEN,
            **_OF_ANY_TEAM,
            "access_role": "per_team",
            "file_systems": [
                {
                    "file_system": "fs-0a1b2c3d4e5f60001",
                    "dataset": "drafts",
                    "access": "read_write",
                    "prefix": "drafts/vision/",
                    "cluster": "main",
                    "expires": "2031-01-31T18:00:00Z",
                }
            ],
            "deletion_protection": True,
            "on_delete": "delete_work",
            "expires": "2031-01-31T18:00:00Z",
            "members": [
                {"account": "222222222222", "trusted_by": ["role/Analyst"], "expires": "2031-01-31T18:00:00Z"},
                {"account": "444444444444", "existing_role": "research/VisionResearcher"},
                {"organizational_unit": "ou-pods-science1", "exclude_accounts": ["222222222222", "444444444444"]},
                {"account_tag": {"key": "team", "value": "vision"}, "permission_set": "DataScientist"},
            ],
            "kubernetes_groups": ["podshare:vision:operators"],
            "rbac": [
                {
                    "group": "podshare:vision:operators",
                    "rules": [
                        {
                            "api_groups": [""],
                            "resources": ["configmaps"],
                            "verbs": ["get", "update"],
                            "resource_names": ["experiment"],
                        }
                    ],
                }
            ],
        },
        {
            "id": "team#everywhere",
            "owner": "priya@example.com",
            "reason": "Has quotas of two clusters",
            "members": [],
            "cluster": [{"cluster": "main", "quota": _QUOTA}, {"cluster": "east", "quota": _QUOTA}],
        },
    ],
    "enrollment": [
        {
            "id": "enrollment#science",
            **_WRITTEN,
            "organizational_unit": "ou-pods-science1",
            "exclude_accounts": ["222222222222"],
            "team": {
                **_OF_ANY_TEAM,
                "reason": "Lets ${account.name} try first jobs",
                "rbac": "debug",
                "member": {"trusted_by": ["role/Analyst"]},
            },
        },
        {
            "id": "enrollment#tagged",
            "account_tag": {"key": "cost-center", "value": "research"},
            "team": {
                "owner": "priya@example.com",
                "reason": "Has quotas of two clusters",
                "cluster": [{"cluster": "main", "quota": _QUOTA}, {"cluster": "east", "quota": _QUOTA}],
                "member": {"existing_role": "research/Researcher"},
            },
        },
        {
            "id": "enrollment#signed-in",
            "organizational_unit": "ou-pods-science2",
            "team": {**_OF_ANY_TEAM, "member": {"permission_set": "DataScientist"}},
        },
    ],
    "approval": [
        {
            "id": "approval#vision",
            **_WRITTEN,
            "plan": "3f2a9c01b7de",
            "owner": "arn:aws:iam::111111111111:user/priya",
            "reason": "The project has ended",
            "confirmed": "2026-11-30T09:00:00Z",
            "losses": ["0ecf720c6122"],
        }
    ],
    "block": [
        {
            "id": "block#222222222222",
            **_WRITTEN,
            "reason": "Its keys were stolen",
            "owner": "arn:aws:iam::111111111111:user/priya",
        }
    ],
    "pause": [
        {
            "id": "pause#all",
            **_WRITTEN,
            "reason": "The data account moves",
            "owner": "arn:aws:iam::111111111111:user/priya",
        }
    ],
}
"""By kind, the more usual record first."""
