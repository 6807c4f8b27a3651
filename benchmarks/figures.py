"""Every figure that has a budget: what it is, what it may be, and why it is not so where it is not.

The page docs/benchmarks.md takes its words from here. A figure is a count, or a ratio to what is measured beside it.
"""

from dataclasses import dataclass

from benchmarks import package, planning, start

COUNTS, GROWTH, REVOCATION, PEERS, PATH = "counts", "growth", "revocation", "peers", "path"
RATES = "rates"
LARGE = "organization"
PLANNING, PACKAGE, START = "planning", "package", "start"


@dataclass(frozen=True)
class Figure:
    """A figure with its budget: at most ``budget``, or at least so where ``at_least``.

    ``missed`` says why it is not met, and what would be needed; it is shown only while that is so.
    """

    id: str
    group: str
    what: str
    budget: float
    missed: str
    at_least: bool = False

    def is_met(self, value: float) -> bool:
        """Whether a value keeps the budget."""
        return value >= self.budget if self.at_least else value <= self.budget

    @property
    def limit(self) -> str:
        """The budget in words."""
        return f"{'≥' if self.at_least else '≤'} {self.budget:g}"


_FIGURES = (
    Figure(
        "onboarding/writes ratio",
        COUNTS,
        "onboarding: calls that write in other accounts / the least that the resources need",
        1.1,
        "A resource is written more than once. Needed: create it complete.",
    ),
    Figure(
        "nothing to do/reads ratio",
        COUNTS,
        "nothing to do: calls that read in other accounts / the least that the APIs allow",
        1.2,
        "Each question is asked once, and the roles of an account at once. Beyond what the comparison needs, a plan "
        "reads for each account its roles' session durations, which `iam:GetAccountAuthorizationDetails` lacks, for "
        "each cluster its two add-ons and every entry that is no team's (two calls each), for each bucket its Region, "
        "whether its policy is public and its encryption; and for a resource its tags, the description of a quota and "
        "the network policy of a namespace. Needed: no longer report one of these, or find it out once a day.",
    ),
    Figure(
        "onboarding/own",
        COUNTS,
        "onboarding: podshare's own calls (tables, machines, functions)",
        60,
        "The history of who had access and what is published in accounts cost ten of them. Needed: record the "
        "outcome where it was verified (two fewer).",
    ),
    Figure(
        "nothing to do/own",
        COUNTS,
        "nothing to do: podshare's own calls",
        10,
        "The plan reads records, references, accounts, inventory and settings in calls of their own. Needed: one "
        "batch for what has a known key, one query for each table.",
    ),
    Figure(
        "nothing to do/states",
        COUNTS,
        "nothing to do: states entered",
        6,
        "Three states call functions; the others pause, choose and begin. Needed: merge the choices into the "
        "functions' answers, or lease and plan in one function.",
    ),
    Figure(
        "onboarding/events",
        COUNTS,
        "onboarding: events in the execution's history",
        150,
        "Each batch of a wave costs four states beside its call. Needed: fewer waves with several functions in them, "
        "or the wait for a batch in a state machine of its own.",
    ),
    *(
        Figure(
            f"{phase}/exponent",
            GROWTH,
            f"{phase}: exponent of all calls in the number of teams",
            1.05,
            "Calls per team grow with the number of teams. Needed: find the operation that grows in the table below.",
        )
        for phase in ("onboarding", "nothing to do", "add a member", "revoke")
    ),
    Figure(
        "first is a revocation",
        REVOCATION,
        "triggers after which the first call that changes anything is no revocation",
        0,
        "Something is provisioned before access ends: a defect.",
    ),
    *(
        Figure(
            f"{peer}/10/{phase}/latencies",
            PEERS,
            f"{phase}, 10 teams: seconds of the {name} / seconds of podshare, with AWS's latencies",
            budget,
            missed,
            at_least=True,
        )
        for peer, name, budget in (("boto3", "boto3 script", 3.0), ("aws", "`aws` commands", 10.0))
        for phase, missed in (
            (
                "onboarding",
                (
                    "The sandbox runs all functions of ten teams on two cores, which AWS does not. Needed: a machine "
                    "with more cores, and fewer calls of podshare's own."
                ),
            ),
            (
                "nothing to do",
                (
                    "podshare reads everything, doors included, where the script repeats its writes and checks "
                    "nothing. Needed: as for the reads above."
                ),
            ),
            (
                "add a member",
                (
                    "A script for one change makes the few calls of this change; podshare finds the "
                    "change, makes it and verifies the whole team. Needed: verify what the change touches."
                ),
            ),
            (
                "revoke",
                (
                    "podshare revokes in stages, waits until the compute quota is deleted and verifies the absence; "
                    "the script deletes and does not look. Needed: delete what is left side by side."
                ),
            ),
        )
    ),
    Figure(
        "onboarding/critical path",
        PATH,
        "onboarding of one team with AWS's latencies: seconds / seconds of its critical path",
        1.25,
        "Before the first change podshare leases the team and reads everything, and after the last it verifies and "
        "records, calls one after the other. Needed: create the compute quota before the rest is read, read side by "
        "side, and verify while the quota is being created.",
    ),
    Figure(
        "wrong",
        RATES,
        "with AWS's rates, teams come while others go: teams that do not end READY or DELETED by themselves",
        0,
        "A team waits for a trigger or the sweep although AWS has answered again: a defect.",
    ),
    Figure(
        "throttled",
        RATES,
        "the same: calls that AWS throttles / all calls",
        0.2,
        "More is asked at once than AWS takes. Needed: ask the APIs in the table below less often.",
    ),
    Figure(
        "given up",
        RATES,
        "the same: calls that the SDK gives up on / all calls",
        0.03,
        "A reading that is given up makes a run wait for a minute or more. Needed: as before.",
    ),
    Figure(
        "first revocation",
        RATES,
        "the same: longest wait for a team's first revocation / the same without rates",
        3,
        "A plan makes no change before it has read everything, and each throttled reading takes seconds. Needed: "
        "read less before what is deleted is revoked.",
    ),
    Figure(
        "drift not repaired",
        LARGE,
        "a large organization, of which 5 % of the teams drift: resources that the next sweep does not repair",
        0,
        "Drift that the sweep does not find stays: a defect.",
    ),
    Figure(
        "sweep/reads",
        LARGE,
        "a large organization, a sweep: calls that read in other accounts / resources",
        1.1,
        "What lists return is read once for twenty teams. Of each team no list returns its access entries and their "
        "policies, the role of its association, the policies of its access points, its parameters, nor the tags of "
        "quota, points and parameters. In a small organization groups are small, and what they share weighs more. "
        "Needed: tags of many resources in one call, which the tagging API has only as of a while ago.",
    ),
    Figure(
        "planning/seconds",
        PLANNING,
        f"planning {planning.TEAMS:,} teams with nothing to do: seconds of the CPU",
        planning.BUDGET_SECONDS,
        "Needed: see where `python -m benchmarks.planning` spends its time.",
    ),
    Figure(
        "planning/megabytes",
        PLANNING,
        f"planning {planning.TEAMS:,} teams: megabytes of the process",
        planning.BUDGET_MEGABYTES,
        "Needed: keep fewer shapes in memory at once.",
    ),
    Figure(
        "package/bytes",
        PACKAGE,
        "the package of a function, unzipped: bytes",
        package.BUDGET_BYTES,
        "Needed: ship fewer dependencies, see `functions/trim_dependencies.py`.",
    ),
    Figure(
        "start/ratio",
        START,
        "`podshare team list`: seconds of the CPU / those of an interpreter that does nothing",
        start.BUDGET,
        "Only the module of the command that is run is imported. What is left is boto3 with a client and its models, "
        "typer with pydantic, which it imports to read options, and rich for tables. Needed: call DynamoDB without "
        "boto3, or options without typer.",
    ),
)

FIGURES = {figure.id: figure for figure in _FIGURES}
