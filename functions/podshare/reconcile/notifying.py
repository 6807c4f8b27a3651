"""Messages for people on the notification topic: subject, what happened, what to do, and a link to the evidence."""

from collections.abc import Mapping
from typing import Any

from podshare.aws.sessions import hub_client
from podshare.aws.settings import Settings


def notify(settings: Settings, detail_type: str, detail: Mapping[str, Any]) -> str:
    """Publish an event as a message; returns its id. Its attributes let a subscription filter by type and team."""
    attributes = {"detail_type": detail_type, "team": str(detail.get("team", ""))}
    answer = hub_client("sns").publish(
        TopicArn=settings.notification_topic,
        Subject=detail["message"]["subject"],
        Message=text_of(detail),
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
        },
    )
    return answer["MessageId"]


def text_of(detail: Mapping[str, Any]) -> str:
    """The message: what happened, every item of the event, what to do, and where the evidence is."""
    message = detail["message"]
    items = [f"- {item}" for name in _LISTS for item in detail.get(name, ())]
    parts = [
        message["text"],
        "\n".join(items),
        message["remedy"] and f"What to do: {message['remedy']}",
        message["link"],
    ]
    return "\n\n".join(part for part in parts if part)


_LISTS = ("problems", "losses", "revocations", "changes", "doors", "found")
