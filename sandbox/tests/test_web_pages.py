"""A page of another site, opened in a real browser on the machine of the sandbox, reaches nothing in it."""

import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError

from podshare_sandbox import Sandbox
from podshare_sandbox.organization import HUB

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PAGE = """<!doctype html><title>a page</title><pre id="told">pending</pre>
<form id="form" method="POST" target="frame" action="{form}"></form><iframe name="frame"></iframe>
<script>
const tell = text => document.getElementById("told").textContent = text;
const image = new Promise(done => {{
  const one = new Image(); one.onload = one.onerror = () => done({{type: "opaque"}}); one.src = {image!r};
}});
const asked = [
  fetch({fetched!r}, {{mode: "no-cors"}}),
  fetch({fetched!r}).then(answer => answer.text()),
  fetch({posted!r}, {{method: "POST", mode: "no-cors", body: "Action=GetCallerIdentity&Version=2011-06-15"}}),
];
document.getElementById("form").submit();
Promise.allSettled([image, ...asked]).then(all => setTimeout(
  () => tell("done " + all.map(one => one.value && one.value.type !== "opaque" ? "read" : "closed").join(" ")), 500));
</script>"""


@contextmanager
def site(page: str) -> Iterator[str]:
    """A web site of somebody else's, whose only page this is; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()


def opened(url: str) -> str:
    """The page as Chromium shows it in the end."""
    assert CHROMIUM
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", "--virtual-time-budget=20000"]
    command = [CHROMIUM, *words, "--dump-dom", url]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout  # noqa: S603  # as above


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
def test_a_page_changes_and_reads_nothing_even_with_signed_links() -> None:
    """Images, forms and scripts are refused by what the browser says of them; the same links work for a client here."""
    with Sandbox(time_scale=0.02) as sandbox:
        iam = sandbox.client("iam", HUB)
        endpoint = sandbox.url.replace("127.0.0.1", "localhost")
        here: Any = sandbox.session(HUB).client("iam", endpoint_url=endpoint)

        def link(name: str) -> str:
            """A signed link that makes a user."""
            return str(here.generate_presigned_url("create_user", Params={"UserName": name}, HttpMethod="GET"))

        def exists(name: str) -> bool:
            try:
                iam.get_user(UserName=name)
            except ClientError:
                return False
            return True

        ways = ("image", "fetched", "form", "posted")
        links = {way: link(f"by-{way}") for way in ways}
        with site(PAGE.format(**links)) as url:
            shown = opened(url)
        assert "done" in shown, shown
        assert "read" not in shown.partition('id="told">')[2].partition("<")[0]
        assert [way for way in ways if exists(f"by-{way}")] == []
        with urllib.request.urlopen(links["image"]) as answer:  # noqa: S310  # the sandbox
            assert answer.status == 200
        assert exists("by-image")
