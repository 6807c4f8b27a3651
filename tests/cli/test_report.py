"""The page that shows who can reach what: whole in one file, in a real browser, for two teams and for a thousand."""

import html
import http.client
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from podshare_cli.application import main
from podshare_cli.commands.report.facts import expirations
from podshare_cli.commands.report.page import page
from podshare_cli.commands.report.serving import Served, answering
from podshare_cli.failures import INTERRUPTED, INVALID
from tests.docs.pages import OPERATIONS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian's package chromium)")
AT = "2026-11-29T12:00:00+00:00"
ATTACK = "</script><script>document.title = 'taken'</script>"


def facts(teams: int, **more: Any) -> dict[str, Any]:
    """What podshare knows of an organization with so many teams, each of two accounts and with two datasets."""
    names = [f"team-{number}" for number in range(teams)]
    accounts = [f"{number:012}" for number in range(max(2, teams // 2))]
    places = [{"id": "cluster#main", "account": accounts[0]}, {"id": "dataset#images", "account": accounts[1]}]
    access = [
        {"team": name, "who": f"arn:aws:iam::{account}:root", "account": account, "place": place, "may": [may]}
        | {"what": "*", "granted": True}
        for number, name in enumerate(names)
        for account in (accounts[number % len(accounts)], accounts[(number + 1) % len(accounts)])
        for place, may in (("cluster#main", "AmazonSagemakerHyperpodTrainingPolicy"), ("dataset#images", "read"))
    ]
    rows = [
        {
            "team": name,
            "state": "READY",
            "members": accounts[:2],
            "quota": ["1 x ml.p5.48xlarge"],
            "datasets": ["images"],
        }
        | {"read_at": AT, "reason": None}
        for name in names
    ]
    listed = [
        {"account": account, "name": f"lab-{account}", "teams": names[:1], "path": ["r-root", f"ou-{number % 3}"]}
        for number, account in enumerate(accounts)
    ]
    return {
        **{"generated": AT, "installation": {"account": accounts[0], "region": "us-west-2", "prefix": "podshare"}},
        **{"teams": rows, "accounts": listed, "places": places, "access": access, "unexpected": [], "unread": []},
        **{"capacity": [], "lending": [], "runs": [], "expirations": []},
        **more,
    }


def run(team: str, minute: int, seconds: float | None = 4.2, **more: Any) -> dict[str, Any]:
    """A run of a team that began in a minute of an hour, and has ended if it took any seconds."""
    begin = datetime(2026, 11, 29, 11, minute, tzinfo=UTC)
    stopped = None if seconds is None else str(begin + timedelta(seconds=seconds))
    return {
        **{"team": team, "started": str(begin), "stopped": stopped, "seconds": seconds, "revoked": 0},
        **{"outcome": "READY", "summary": "provisioned", "trigger": {"event": "registry", "by": "ada"}},
        "who": "ada, declared",
        **more,
    }


def opened(text: str, folder: Path, fragment: str = "", *more: str) -> tuple[str, str]:
    """The page as a browser has it once its script has run, and what the browser logged."""
    file = folder / "report.html"
    file.write_text(text, encoding="utf-8")
    return browsed(f"file://{file}{fragment}", folder, *more)


def browsed(address: str, folder: Path, *more: str) -> tuple[str, str]:
    """What is at an address as a browser has it once its script has run, and what the browser logged."""
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom", *more]
    command = [str(CHROMIUM), *words, f"--user-data-dir={folder / 'profile'}", address]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # the browser
    return ended.stdout, "\n".join(line for line in ended.stderr.splitlines() if "CONSOLE" in line)


@contextmanager
def serving(served: Served) -> Iterator[str]:
    """Meanwhile the page is served; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), answering(served)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def rows_of(dom: str, section: str) -> int:
    """How many rows a section's tables have."""
    found = re.search(rf'<section id="{section}".*?</section>', dom, re.DOTALL)
    assert found
    return found[0].count('<th scope="row"')


@in_a_browser
@pytest.mark.parametrize("teams", [2, 1000])
def test_every_team_is_shown(teams: int, tmp_path: Path) -> None:
    """The page needs no network, logs no error, and has a row for each team, however many there are."""
    dom, logged = opened(page(facts(teams)), tmp_path)
    assert (rows_of(dom, "teams"), rows_of(dom, "matrix"), logged) == (teams, teams, "")
    assert f"{min(teams, 250)} of {teams} teams are drawn" in dom or teams == 2


@in_a_browser
def test_the_address_filters(tmp_path: Path) -> None:
    """What stands behind the number sign is searched for in teams and accounts."""
    dom, _ = opened(page(facts(30)), tmp_path, "#team-7")
    assert rows_of(dom, "teams") == 1
    dom, _ = opened(page(facts(30)), tmp_path, "#000000000003")
    assert 0 < rows_of(dom, "teams") < 30


def text_of(dom: str, section: str) -> str:
    """What a section says."""
    found = re.search(rf'<section id="{section}".*?</section>', dom, re.DOTALL)
    assert found
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", found[0])).split())


@in_a_browser
@pytest.mark.parametrize("fragment", ["#team-7", "#zzz"])
def test_a_filtered_page_says_nothing_of_the_rest(fragment: str, tmp_path: Path) -> None:
    """Without a match it claims neither that nothing is unexpected nor that nothing ends; it counts what is outside."""
    door = {"team": "team-0", "who": "arn:aws:iam::9:root", "may": ["read"], "where": "arn", "what": "*"}
    ends = [{"team": "team-0", "what": "the whole team", "at": "2026-12-01T00:00:00+00:00"}]
    known = facts(30, unexpected=[door], unread=["team-0: a bucket"], expirations=ends, runs=[run("team-0", 1)])
    dom, logged = opened(page(known), tmp_path, fragment)
    expected = {
        "unexpected": "None among what the filter shows. Outside of the filter: 1 unexpected door. "
        "Outside of the filter: 1 missing reading.",
        "expirations": "Nothing of what the filter shows ends by itself. Outside of the filter: 1 expiration.",
        "runs": "No runs of what the filter shows. Outside of the filter: 1 run.",
    }
    assert {name: text_of(dom, name).endswith(said) for name, said in expected.items()} == dict.fromkeys(expected, True)
    assert f"by the filter “{fragment[1:]}”" in dom  # beside the number of teams, which is printed too
    assert logged == ""


@in_a_browser
def test_unexpected_access_is_first_with_what_closes_it(tmp_path: Path) -> None:
    """Before all else: who, what, and the command."""
    door = {"team": "team-0", "who": "arn:aws:iam::9:root", "may": ["read"], "where": "arn", "what": "*"}
    dom, _ = opened(page(facts(2, unexpected=[{**door, "closed_by": "aws close it"}])), tmp_path)
    assert 'class="some"' in dom
    assert "aws close it" in dom
    assert dom.index('id="unexpected"') < dom.index('id="picture"')


@in_a_browser
def test_units_are_in_the_picture(tmp_path: Path) -> None:
    """The organizational unit of each account that reaches a cluster is drawn, and is found by the filter."""
    dom, _ = opened(page(facts(6)), tmp_path)
    assert re.findall(r'aria-label="(ou-\d)"', dom) == ["ou-0", "ou-1", "ou-2"]
    assert rows_of(opened(page(facts(6)), tmp_path, "#ou-2")[0], "teams") == 1


@in_a_browser
def test_what_was_never_read_does_not_pass_for_proven(tmp_path: Path) -> None:
    """A team without an access report is named where there is no unexpected access, and so is that there is no team."""
    unread = facts(2)
    unread["teams"][1]["read_at"] = None
    dom, _ = opened(page(unread), tmp_path)
    assert "No access report yet, so that nothing is known of: team-1" in dom
    assert ">None: every door" not in dom
    assert ">None: every door" not in opened(page(facts(2) | {"teams": [], "access": []}), tmp_path)[0]


@in_a_browser
def test_an_address_that_is_no_text_is_taken_as_it_is(tmp_path: Path) -> None:
    """Half a percent sign in the address does not leave the page empty."""
    dom, logged = opened(page(facts(2)), tmp_path, "#%")
    assert ("0 of 2 teams" in dom, logged) == (True, "")


@in_a_browser
def test_each_run_is_a_mark_in_the_row_of_its_team(tmp_path: Path) -> None:
    """A revocation has a shape of its own and says how long it took; the table has the same runs."""
    text = page(facts(3, runs=[run("team-1", 30, None), run("team-0", 20, 8.04, revoked=1), run("team-1", 10)]))
    dom, logged = opened(text, tmp_path)
    marks = re.findall(r'<g class="(mark[^"]*)" role="img"[^>]* aria-label="([^"]*)".*?<(circle|polygon)', dom)
    assert marks == [
        ("mark", "team-1, 2026-11-29 11:10:00 UTC: READY in 4.2 s", "circle"),
        ("mark running", "team-1, 2026-11-29 11:30:00 UTC: still running", "circle"),
        ("mark revoked", "team-0, 2026-11-29 11:20:00 UTC: READY in 8.0 s, 1 revocation", "polygon"),
    ]
    assert (rows_of(dom, "runs"), logged) == (3, "")


@in_a_browser
def test_the_timeline_has_the_teams_that_ran_last_and_the_filter_chooses_others(tmp_path: Path) -> None:
    """Of many teams some have a row, and it says so; a filter applies to it as to the table."""
    text = page(facts(200, runs=[run(f"team-{number}", 59 - number) for number in range(60)]))
    dom, _ = opened(text, tmp_path)
    assert "40 of 60 teams with runs are in the timeline" in dom
    assert (dom.count('<g class="mark"'), rows_of(dom, "runs")) == (40, 60)
    assert 'aria-label="team-59, ' not in dom
    dom, _ = opened(text, tmp_path, "#team-59")
    assert re.findall(r'<g class="mark".*?aria-label="(team-\d+), ', dom) == ["team-59"]


def of_a_cluster(**lending: Any) -> dict[str, Any]:
    """A cluster of 12 accelerators with two teams, and what was read of who lends."""
    vision = {"team": "team-0", "guaranteed": 4, "lends": 4, "borrow_limit": 4, "quota": ["1 instances"]}
    kind = {"instance_type": "ml.g5.12xlarge", "unit": "accelerators", "capacity": 12, "guaranteed": 8}
    teams = [vision, {**vision, "team": "team-1", "borrow_limit": 0}]
    report = {"cluster": "main", "instance_types": [{**kind, "over_committed": 0, "teams": teams}]}
    return {"capacity": [report], "lending": [{"cluster": "main", **lending}]}


def lending_row(team: str, used: float, borrowed: float, least: float, most: float) -> dict[str, Any]:
    """What a team uses, borrows and lends."""
    row = {"team": team, "instance_type": "ml.g5.12xlarge", "unit": "accelerators", "used": used, "borrowed": borrowed}
    return {**row, "lent_at_least": least, "lent_at_most": most}


BORROWED = [lending_row("team-0", 6, 2, 0, 0), lending_row("team-1", 1, 0, 1, 2)]


@in_a_browser
def test_quotas_are_bars_with_what_is_lent_and_borrowed_now(tmp_path: Path) -> None:
    """In words for who cannot see the bars, in the bars for who can: own, lent, idle and borrowed."""
    dom, logged = opened(page(facts(2, **of_a_cluster(read_at=AT, teams=BORROWED))), tmp_path)
    bars = re.findall(r'aria-label="(team-\d: [^"]*)">(.*?)</span>', dom)
    limits = "4 of 12 accelerators guaranteed, lends up to 4"
    assert ([label for label, _ in bars], logged) == (
        [
            f"team-0: {limits}, borrows up to 4; now 6 accelerators in use, of these 2 borrowed",
            f"team-1: {limits}; now 1 accelerator in use, 1 to 2 lent",
        ],
        "",
    )
    parts = [re.findall(r'class="(\w+)" style="width: ?([\d.]+)%', bar) for _, bar in bars]
    assert [[(kind, round(float(width) * 12 / 100)) for kind, width in each] for each in parts] == [
        [("own", 4), ("lent", 0), ("idle", 0), ("borrowed", 2)],
        [("own", 1), ("lent", 1), ("idle", 2), ("borrowed", 0)],
    ]
    assert "By Kueue at 2026-11-29 12:00:00 UTC" in dom


@in_a_browser
def test_what_is_lent_is_unknown_with_the_reason_where_a_cluster_was_not_read(tmp_path: Path) -> None:
    """Then the bars have what may be lent; of a team without a queue it is unknown by itself."""
    dom, logged = opened(page(facts(2, **of_a_cluster(problem="it cannot be reached: no route"))), tmp_path)
    assert "What is lent and borrowed now is unknown: it cannot be reached: no route." in dom
    assert "; now unknown: it cannot be reached: no route" in dom
    assert (dom.count('<i class="lends"'), logged) == (2, "")
    dom, _ = opened(page(facts(2, **of_a_cluster(read_at=AT, teams=BORROWED[:1]))), tmp_path)
    assert "now: unknown: Kueue has no queue of it for this type" in dom


@in_a_browser
def test_moments_are_shown_in_utc(tmp_path: Path) -> None:
    """A run's moment may have the offset of the machine that has read it: the page has one time for all."""
    here = {"started": "2026-11-29 23:30:00.250000-05:00", "stopped": "2026-11-29 23:30:04.450000-05:00"}
    dom, _ = opened(page(facts(2, runs=[run("team-0", 0, **here)])), tmp_path)
    assert '<th scope="row">2026-11-30 04:30:00</th>' in dom
    assert "team-0, 2026-11-30 04:30:00 UTC" in dom


@in_a_browser
def test_the_arrow_keys_move_from_run_to_run(tmp_path: Path) -> None:
    """The timeline is one stop of the tab key; within it the keys go along a team's row, and from row to row."""
    runs = [run("team-0", 50), run("team-1", 41), run("team-0", 40), run("team-1", 5)]
    press = """const at = () => document.activeElement.getAttribute("aria-label").slice(0, 25);
        document.querySelector("svg.timeline [tabindex='0']").focus();
        const walked = [at()];
        for (const key of ["ArrowLeft", "End", "ArrowUp", "ArrowUp", "Home", "ArrowRight", "ArrowDown", "ArrowLeft"]) {
            document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
            walked.push(at());
        }
        const stops = document.querySelectorAll("svg.timeline [tabindex='0']").length;
        document.body.innerHTML = '<pre id="found"></pre>';
        document.getElementById("found").textContent = JSON.stringify([stops, walked]);"""
    text = page(facts(2, runs=runs)).replace("</body>", f"<script>{press}</script></body>")
    dom, logged = opened(text, tmp_path)
    found = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    assert found, logged
    stops, walked = json.loads(html.unescape(found[1]))
    walk = [re.findall(r"team-(\d), \S+ \d\d:(\d\d)", each)[0] for each in walked]
    assert stops == 1
    assert walk == [
        *[("0", "40"), ("0", "40"), ("1", "41"), ("0", "40"), ("0", "40"), ("0", "40")],
        *[("0", "50"), ("1", "41"), ("1", "05")],
    ]


@in_a_browser
def test_a_renewed_page_keeps_what_somebody_chose(tmp_path: Path) -> None:
    """Filter, sorting, the node that was followed, the focus and how far each part was scrolled stay as they were."""
    before, after = facts(40), facts(41, runs=[run("team-1", 10)])
    act = """{
        const style = document.createElement("style");
        style.textContent = "#teams .scroll { max-height: 60px }";
        document.head.append(style);
        const head = () => document.querySelector("#teams thead button");
        const list = () => document.querySelector("#teams .scroll");
        const seen = () => [search.value, document.getElementById("count").textContent,
            document.querySelector("#teams tbody th").textContent, document.activeElement === head(),
            document.querySelector("#picture [aria-pressed=true]").getAttribute("aria-label"),
            list().scrollTop, scrollY, document.querySelectorAll(".mark").length];
        search.value = "team-1"; show();
        head().click(); head().click(); head().focus();
        document.querySelector('#picture .node[aria-label="team-12"]').dispatchEvent(new Event("click"));
        list().scrollTo(0, 30); scrollTo(0, 200);
        const all = [seen()];
        renew(AFTER);
        all.push(seen());
        document.body.innerHTML = '<pre id="found"></pre>';
        document.getElementById("found").textContent = JSON.stringify(all);
    }""".replace("AFTER", json.dumps(after))
    text = page(before).replace("</body>", f"<script>{act}</script></body>")
    dom, logged = opened(text, tmp_path, "", "--window-size=900,500")
    assert logged == ""
    found = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    assert found
    first, second = json.loads(html.unescape(found[1]))
    assert first == ["team-1", "11 of 40 teams, by the filter “team-1”", "team-19", True, "team-12", 30, 200, 0]
    assert second == ["team-1", "11 of 41 teams, by the filter “team-1”", "team-19", True, "team-12", 30, 200, 1]


@in_a_browser
def test_the_served_page_renews_itself(tmp_path: Path) -> None:
    """What came since is in the open page, by its filter, without anybody loading it again."""
    readings = iter([facts(2), *[facts(5)] * 50])
    with serving(Served(lambda: next(readings), renewed_seconds=0)) as address:
        dom, logged = browsed(f"{address}#team-4", tmp_path, "--virtual-time-budget=20000")
    assert ("1 of 5 teams" in dom, rows_of(dom, "teams"), logged) == (True, 1, "")
    assert "Renews itself; read again at 12:00:00 UTC." in dom


@in_a_browser
def test_a_served_page_that_cannot_be_renewed_says_why_and_stays(tmp_path: Path) -> None:
    """Credentials that end leave what was read before, with the reason beside it."""
    readings = iter([facts(2)])

    def read() -> dict[str, Any]:
        for reading in readings:
            return reading
        raise RuntimeError("the token has expired")

    with serving(Served(read, renewed_seconds=0)) as address:
        dom, _ = browsed(address, tmp_path, "--virtual-time-budget=20000")
    assert rows_of(dom, "teams") == 2
    assert "Not renewed since it was made: The report cannot be made: the token has expired" in dom


def test_the_file_renews_nothing() -> None:
    """What asks again is in the served page alone, whose own policy lets it ask the machine that serves it."""
    text, (_, served) = page(facts(2)), Served(lambda: facts(2)).page()
    assert "fetch(" not in text
    assert "connect-src" not in text
    assert "fetch(" in served.decode()
    assert "connect-src 'self'" in served.decode()


def test_a_load_reads_again_and_pages_that_are_open_share_a_reading() -> None:
    """Each load shows the present; whoever only asks whether there is news gets it once it is, and nothing else."""
    readings = iter(
        facts(
            teams, generated=f"2026-11-29T12:00:0{second}+00:00", **of_a_cluster(read_at=f"12:00:0{second}", teams=[])
        )
        for second, teams in enumerate([2, 2, 3])
    )
    served = Served(lambda: next(readings), renewed_seconds=60)
    (_, first), (_, second) = served.page(), served.page()
    digests = [re.findall('data-digest="([0-9a-f]+)"', text.decode())[0] for text in (first, second)]
    assert digests[0] == digests[1]  # when it was read is no news
    news = json.loads(served.news(digests[0])[1])
    assert news == {"digest": digests[0], "generated": "2026-11-29T12:00:01+00:00"}
    served.page()
    news = json.loads(served.news(digests[0])[1])
    assert news["digest"] != digests[0]
    assert len(news["facts"]["teams"]) == 3


def test_all_that_ends_is_ahead() -> None:
    """Teams, members and grants of datasets and file systems, of enrollments too."""
    at = "2030-01-01T00:00:00Z"
    grants = [{"dataset": "d", "access": "read", "expires": at}, {"dataset": "e", "access": "read"}]
    accounts = [{"name": "a", "datasets": grants}]
    mounts = [{"file_system": "fs-1", **grant} for grant in grants]
    team = {"members": [{"account": "1", "expires": at}], "service_accounts": accounts, "file_systems": mounts}
    items = [
        {"id": "cluster#main"},
        {"id": "enrollment#labs", "team": {"service_accounts": accounts}},
        {"id": "team#x", "expires": at, **team},
    ]
    assert [(each["team"], each["what"]) for each in expirations(items)] == [
        ("enrollment#labs", "read of d for a"),
        *(("x", what) for what in ("the whole team", "member 1", "read of d for a", "read of d by fs-1")),
    ]


def test_what_ends_is_in_utc_whatever_zone_a_record_names() -> None:
    """The page compares moments as text; one that is none is no end."""
    ends = {
        "a": "2026-11-29T18:00:00+05:00",
        "b": "2026-11-29T10:00:00-08:00",
        "c": "2026-11-29T14:00:00Z",
        "d": "soon",
    }
    found = expirations({"id": f"team#{team}", "expires": at} for team, at in ends.items())
    assert {each["team"]: each["at"] for each in found} == {
        **{"a": "2026-11-29T13:00:00+00:00", "b": "2026-11-29T18:00:00+00:00", "c": "2026-11-29T14:00:00+00:00"},
    }


def test_a_port_that_is_taken_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """With what to do, and without a traceback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), answering(Served(lambda: facts(2)))) as server:
        assert main(["report", "--serve", "--port", str(server.server_port)]) == 1
    assert "Choose another --port" in capsys.readouterr().err


def test_a_page_that_cannot_be_made_says_why() -> None:
    """Credentials that end while it is served are an answer, not a broken connection."""

    def fail() -> dict[str, Any]:
        raise RuntimeError("the token has expired")

    with serving(Served(fail)) as address:
        assert _status(address, "localhost", "/") == 503


def with_axe(text: str) -> str:
    """The page with axe-core, which its own policy would not let run, and at the end what that found alone."""
    axe = (files("axe_core_python") / "axe.min.js").read_text("utf-8")
    show = """axe.run().then(({violations, passes}) => {
        document.body.innerHTML = '<pre id="found"></pre>';
        document.getElementById('found').textContent = JSON.stringify({violations, passes: passes.length});
    })"""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    return text.replace("</body>", f"<script>{axe.replace('</script>', '')}</script><script>{show}</script></body>")


@in_a_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "digest"), [(500, ""), (1400, ""), (1400, "0" * 64)])
def test_axe_finds_nothing(scheme: str, width: int, digest: str, tmp_path: Path) -> None:
    """No rule of axe-core is broken, in the light and in the dark, on a phone's width and a screen's, served or not."""
    door = {"team": "team-0", "who": "arn:aws:iam::9:root", "may": ["read"], "where": "arn", "what": "*"}
    runs = [run("team-0", 30, None), run("team-1", 20, revoked=2), run("team-1", 10)]
    seen = {"unexpected": [{**door, "closed_by": "aws close it"}], "unread": ["team-1: no answer"], "runs": runs}
    seen |= of_a_cluster(read_at=AT, teams=BORROWED)
    text = page(facts(6, **seen), digest)
    flags = ["--virtual-time-budget=60000", f"--window-size={width},900", *["--force-dark-mode"] * (scheme == "dark")]
    dom, _ = opened(with_axe(text), tmp_path, "", *flags)
    shown = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    assert shown, "axe-core has not ended"
    found = json.loads(html.unescape(shown[1]))
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]] == []
    assert found["passes"] > 30


@in_a_browser
def test_no_text_becomes_code(tmp_path: Path) -> None:
    """A name that looks like markup is shown as it is: nothing of an organization runs in the reader's browser."""
    dom, logged = opened(page(facts(2, unread=[f"team-0: {ATTACK}"])), tmp_path)
    assert "<title>podshare: who can reach what</title>" in dom
    assert "&lt;/script&gt;" in dom
    assert logged == ""


def test_the_pages_facts_are_taken_out_as_the_documentation_says(tmp_path: Path) -> None:
    """What the page shows of lending is JSON for scripts."""
    (command,) = (command for command in OPERATIONS.commands if command.startswith("sed "))
    known = facts(2, **of_a_cluster(read_at=AT, teams=BORROWED))
    (tmp_path / "report.html").write_text(page(known), encoding="utf-8")
    words = ["/bin/sh", "-c", command.partition(" | jq")[0]]
    taken = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S603  # the page's
    assert json.loads(taken.stdout)["lending"] == known["lending"]


def test_the_page_is_whole() -> None:
    """Nothing is loaded from anywhere: the page's own policy forbids it, and it names no address."""
    text = page(facts(2))
    assert "default-src 'none'" in text
    assert not re.search(r"""(?:src|href)=["']""", text)
    assert ATTACK not in page(facts(2, unread=[ATTACK]))


def test_everything_can_be_read_aloud_and_reached_by_keyboard() -> None:
    """Sections and scrolling parts are named, the filter has a label, the picture's nodes are buttons."""
    text = page(facts(2))
    sections = re.findall(r'<section id="(\w+)" aria-labelledby="(\w+-title)"', text)
    assert [f"{section}-title" for section, _ in sections] == [title for _, title in sections]
    assert len(sections) == text.count("<section")
    assert '<label for="search">' in text
    assert 'tabindex: "0", role: "button"' in text
    assert 'role: "region", "aria-label"' in text


def test_where_no_page_can_be_is_said_before_it_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder is no file: nothing is read for it, and nothing is left beside it."""
    folder = tmp_path / "page"
    folder.mkdir()
    assert main(["report", "--out", str(folder)]) == INVALID
    assert "is a folder" in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == [folder]


def test_the_served_page_answers_this_machine_alone() -> None:
    """A page of another site, whose name resolves to this machine, gets nothing; nor does any other path."""
    own = {(host, path) for host in ("127.0.0.1", "localhost") for path in ("/", "/facts?digest=x")}
    others = {
        ("127.0.0.1", "/other"),
        ("localhost", "/facts/"),
        ("evil.example", "/"),
        ("evil.example", "/facts?digest=x"),
    }
    with serving(Served(lambda: facts(2))) as address:
        assert {key for key in own | others if _status(address, *key) == 200} == own


@pytest.mark.parametrize(
    ("header", "status"),
    [
        *((host, 200) for host in ("127.0.0.1", "localhost", "LOCALHOST:80", "127.0.0.1:80")),
        *((host, 404) for host in ("", "[", "evil.example", "127.0.0.1.evil.example", "evil.example:127")),
    ],
)
def test_a_browser_leaves_out_the_port_80(header: str, status: int) -> None:
    """An address without a port is one of this machine too, and nothing else is."""
    with serving(Served(lambda: facts(2))) as address:
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(address).port)
        connection.request("GET", "/", headers={"Host": header})
        assert connection.getresponse().status == status


@pytest.mark.parametrize("words", [[], ["--quiet"], ["--json"]])
def test_where_it_is_served_is_said_to_everybody(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The port is any that is free: who wants no progress, or JSON, has to know it too."""

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", interrupt)
    assert main(["report", "--serve", *words]) == INTERRUPTED
    printed = capsys.readouterr()
    assert re.search(r"http://127\.0\.0\.1:[0-9]+/", printed.out if words == ["--json"] else printed.err)


def _status(address: str, host: str, path: str) -> int:
    port = urlsplit(address).port
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path, headers={"Host": f"{host}:{port}"})
    return connection.getresponse().status
