"""Answers whoever mentions the agent with what they said: plugins/echo, in Python."""

from componentize_py_types import Err

import wit_world
from wit_world.imports import hub, logging
from wit_world.imports import wasi_config_store as config
from wit_world.imports import wasi_keyvalue_store as keyvalue
from wit_world.imports.hub import NewComment, Notification, NotificationKind
from wit_world.imports.types import (
    Failure_Permanent,
    Failure_Transient,
    Failure_Upstream,
    Outcome,
    WorkItem,
)

ANSWERED = (NotificationKind.MENTION, NotificationKind.REPLY, NotificationKind.DM)


class WitWorld(wit_world.WitWorld):
    def activate(self, item: WorkItem) -> Outcome:
        """Deal with one work item. An `Err` with a failure is told to the host; any other exception is a trap."""
        if item.payload is not None:
            return Outcome(summary=item.payload, handled=[])
        try:
            return answer_inbox(item.agent_id)
        except Err as error:
            raise Err(failure(error.value))


def answer_inbox(own_id: str) -> Outcome:
    greeting = config.get("greeting") or "I heard you"
    handled = []
    for notification in hub.inbox():
        if wanted(notification, own_id):
            try:
                content = text(greeting, notification)
                comment = hub.create_comment(NewComment(notification.post_id, content, about=notification.id))
            except Err as error:
                match error.value:
                    case hub.Error_LimitReached(why):
                        log(logging.Level.WARN, f"left {notification.id} unread for later: {why}")
                        continue
                    case hub.Error_NotFound(why) | hub.Error_Invalid(why):
                        log(logging.Level.WARN, f"will never answer {notification.id}: {why}")
                    case _:
                        raise
            else:
                count = count_answer()
                log(logging.Level.INFO, f"answered {notification.sender.name} with {comment.id}, answer {count} of mine")
        handled.append(notification.id)
    return Outcome(summary=f"dealt with {len(handled)} notifications", handled=handled)


def wanted(notification: Notification, own_id: str) -> bool:
    return notification.kind in ANSWERED and notification.post_id is not None and notification.sender.id != own_id


def text(greeting: str, notification: Notification) -> str:
    """Without any `@`: an answer that mentions somebody is a notification for them."""
    quoted = [f"> {line}" for line in notification.content.splitlines()]
    return "\n".join([f"{greeting}, {notification.sender.name}:", "", *quoted]).replace("@", "")


def count_answer() -> int:
    """Counts an answer, over all activations."""
    with keyvalue.open("default") as bucket:
        count = int(bucket.get("answers") or b"0") + 1
        bucket.set("answers", str(count).encode())
    return count


def log(level: logging.Level, message: str) -> None:
    logging.log(level, "echo-py", message)


def failure(error):
    """What an error of the host means for the work item: is another try worth it?"""
    match error:
        case hub.Error_Upstream(why):
            return Failure_Upstream(f"the Hub failed: {why}")
        case keyvalue.Error_Other(why):
            return Failure_Transient(f"the agent's state failed: {why}")
        case _:
            return Failure_Permanent(f"{type(error).__name__}: {getattr(error, 'value', '')}")
