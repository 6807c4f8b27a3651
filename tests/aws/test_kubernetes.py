"""What several threads of one function ask a cluster at once."""

import subprocess
import sys

ALL_AT_ONCE = """
import sys, threading
import msgspec
from lightkube.core.decoders import decode_list, decode_object, decode_status
from podshare.aws import kubernetes
from podshare.aws.served_kinds import ServedKind

def at_once(decode, text):
    def decodes():
        begin.wait()
        decode(text)
    begin = threading.Barrier(8)
    threads = [threading.Thread(target=decodes) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()

metadata = b'{"name": "x", "managedFields": [{"manager": "m"}], "ownerReferences": []}'
item = b'{"metadata": %s, "roleRef": {"apiGroup": "g", "kind": "k", "name": "n"}, "spec": {"containers": []}}' % metadata
kinds = [each for each in vars(kubernetes).values() if isinstance(each, type) and issubclass(each, msgspec.Struct)]
assert len(kinds) > 10, kinds
custom = [ServedKind("g", "v1", f"customs{n}", f"Custom{n}", frozenset({"list"})) for n in range(8)]
sys.setswitchinterval(1e-6)
for kind in kinds:
    at_once(lambda text: decode_object(text, kind), item)
    at_once(lambda text: decode_list(text, kind), b'{"items": [%s]}' % item)
for kind in custom:
    at_once(lambda text: decode_list(text, kubernetes.resource_of(kind)), b'{"items": [%s]}' % item)
at_once(decode_status, b'{"code": 404, "details": {"causes": [{"reason": "r"}]}}')
"""


def test_threads_decode_their_first_answers_at_once() -> None:
    """No first answers of a cluster end the process, of whatever kind, however many threads read them."""
    ended = subprocess.run(  # noqa: S603  # this test's own text
        [sys.executable, "-c", ALL_AT_ONCE], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
