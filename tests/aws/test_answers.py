"""An invocation asks each question once, and takes no failure for an answer."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from podshare.aws.answers import Answers, Remembering
from podshare.aws.errors import Retryable


class Counted:
    """Something to ask, which counts how often it is asked, and answers by ``answer``."""

    def __init__(self, answer: Callable[[int], Any]) -> None:
        self.count, self._answer = 0, answer

    def __call__(self) -> Any:
        self.count += 1
        return self._answer(self.count)


def failing(error: Exception) -> Callable[[int], Any]:
    def answer(_: int) -> Any:
        raise error

    return answer


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "why"}}, "GetRole")


def test_an_answer_is_for_all_who_ask() -> None:
    """The same question has the same answer, which is each caller's own; another question is asked."""
    answers, ask = Answers(), Counted(lambda count: {"tags": [count]})
    first = answers.once("role a", ask)
    first["tags"].append("changed by its caller")
    assert answers.once("role a", ask) == {"tags": [1]}
    assert answers.once("role b", ask) == {"tags": [2]}


def test_nothing_is_an_answer() -> None:
    """None, and the error of a service that something is not there, are not asked for again."""
    answers, none, absent = Answers(), Counted(lambda _: None), Counted(failing(refusal("NoSuchEntity")))
    assert [answers.once("none", none), answers.once("none", none)] == [None, None]
    for _ in range(2):
        with pytest.raises(ClientError, match="why"):
            answers.once("absent", absent)
    assert [none.count, absent.count] == [1, 1]


@pytest.mark.parametrize("error", [refusal("Throttling"), refusal("AccessDenied"), Retryable("cut off"), KeyError("x")])
def test_a_failure_is_no_answer(error: Exception) -> None:
    """After any other error the next one asks again, and has what is answered then."""
    answers = Answers()
    with pytest.raises(type(error)):
        answers.once("role", Counted(failing(error)))
    assert answers.once("role", lambda: "there") == "there"


def test_threads_wait_for_one_answer() -> None:
    """Those who ask the same at the same time do not all ask AWS."""
    answers, asked, go = Answers(), threading.Event(), threading.Event()

    def slow(_: int) -> str:
        asked.set()
        assert go.wait(30)
        return "there"

    ask, found = Counted(slow), list[str]()
    threads = [threading.Thread(target=lambda: found.append(answers.once("role", ask))) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert asked.wait(30)
    go.set()
    for thread in threads:
        thread.join()
    assert (found, ask.count) == (["there"] * 5, 1)


class Client:
    """What a client of AWS has: operations, and paginators."""

    def __init__(self) -> None:
        self.asked = list[tuple[str, dict[str, str]]]()

    def get_role(self, **named: str) -> dict[str, int]:
        self.asked.append(("get", named))
        return {"Role": len(self.asked)}

    def delete_role(self, **named: str) -> None:
        self.asked.append(("delete", named))

    def get_paginator(self, operation: str) -> "Client":
        assert operation == "list_roles"
        return self

    def paginate(self, **named: str) -> list[dict[str, int]]:
        self.asked.append(("list", named))
        return [{"Roles": 1}, {"Roles": 2}]


def test_only_reads_are_remembered() -> None:
    """A question is a read with what it is asked of; a change is made each time, and a list is read once and whole."""
    client = Client()
    remembering = Remembering(client, Answers(), ("iam", "1"), {"get_role"})
    assert [remembering.get_role(RoleName=name)["Role"] for name in "aba"] == [1, 2, 1]
    for _ in range(2):
        remembering.delete_role(RoleName="a")
    pages = [[*remembering.get_paginator("list_roles").paginate(PathPrefix=prefix)] for prefix in ("/a/", "/b/", "/a/")]
    assert pages == [[{"Roles": 1}, {"Roles": 2}]] * 3
    assert [name for name, _ in client.asked] == ["get", "get", "delete", "delete", "list", "list"]


@pytest.mark.parametrize(
    ("error", "may_come"),
    [
        (refusal("Throttling"), True),
        (Retryable("cut off"), True),
        (refusal("AccessDenied"), False),
        (KeyError("x"), False),
    ],
)
def test_an_answer_may_come_where_the_question_failed_for_now(error: Exception, may_come: bool) -> None:
    """A question that AWS throttled stays open until it is answered; one that AWS refused is closed."""
    answers = Answers()
    assert not answers.may_come
    with pytest.raises(type(error)):
        answers.once("role", Counted(failing(error)))
    assert answers.may_come is may_come
    answers.once("another role", Counted(lambda _: None))
    assert answers.may_come is may_come
    answers.once("role", Counted(lambda _: None))
    assert not answers.may_come


def test_what_is_not_there_is_an_answer() -> None:
    """Absence leaves no question open."""
    answers = Answers()
    with pytest.raises(ClientError):
        answers.once("role", Counted(failing(refusal("NoSuchEntity"))))
    assert not answers.may_come
