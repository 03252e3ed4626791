"""All keys of the UI: bindings, the line of keys, the help and the table in docs/guides/kubectl-plugin.md are made of them."""

from dataclasses import dataclass
from typing import Any

from textual.binding import Binding


@dataclass(frozen=True)
class KeyHelp:
    """A key and what it does."""

    key: str
    """Keys as Textual names them, separated by commas."""
    action: str
    """Action of the screen."""
    shown: str
    """The key as people read it."""
    words: str
    """Effect of the key, for the help."""
    short: str = ""
    """One or two words for the line of keys; empty: it is not there."""
    priority: bool = False
    """True: the key works inside text fields too."""
    writes: bool = False
    """True: read-only mode refuses it."""


EVERYWHERE = (
    KeyHelp("question_mark", "help", "?", "help of this screen", "help"),
    KeyHelp("colon", "command", ":", "command line: a view, ns NAME, ns all, ctx NAME, q; Tab completes, Up recalls"),
    KeyHelp("1,2,3,4,5,6", "view", "1-6", "instances, runs, skills, config, events, usage"),
    KeyHelp(
        "slash", "filter", "/", "filter: words that a row must have, !word must not; Up recalls the last", "filter"
    ),
    KeyHelp("escape", "leave", "Esc", "clear the filter, else back", "back"),
    KeyHelp("n", "namespaces", "n", "choose a namespace"),
    KeyHelp("0", "all_namespaces", "0", "all namespaces"),
    KeyHelp("r", "reconnect", "r", "read everything again"),
    KeyHelp(
        "ctrl+k", "kubectl", "Ctrl+K", "the kubectl line of what is selected or was done; y copies it", priority=True
    ),
    KeyHelp("ctrl+r", "read_only", "Ctrl+R", "read-only mode on and off", priority=True),
    KeyHelp("T", "theme", "T", "dark, light, the terminal's own colours"),
    KeyHelp("q", "quit", "q", "quit", "quit"),
    KeyHelp("ctrl+c", "quit", "Ctrl+C", "quit, also inside text fields", priority=True),
)
_OBJECT = (
    KeyHelp("d", "describe", "d", "describe, as kubectl does"),
    KeyHelp("y", "yaml", "y", "YAML"),
)
_EDIT = KeyHelp(
    "e", "edit", "e", "edit in $EDITOR; a dry run and the differences before it is saved", "edit", writes=True
)

INSTANCES = (
    KeyHelp("enter", "detail", "Enter", "conditions, model, endpoint, last runs", "detail"),
    KeyHelp("s", "skills", "s", "skills: Space switches the one under the cursor, web-endpoint among them", "skills"),
    KeyHelp("w", "web_endpoint", "w", "web endpoint: on, requests per minute, burst, host name", "endpoint"),
    KeyHelp("c", "chat", "c", "chat", "chat"),
    KeyHelp("R", "run_task", "R", "run a task", "run", writes=True),
    KeyHelp("p", "pool", "p", "warm pool: size, most, idle time", "pool"),
    KeyHelp("v", "runs_of", "v", "its runs", "runs"),
    *_OBJECT,
    _EDIT,
    KeyHelp("a", "new", "a", "a new one, in $EDITOR", writes=True),
    KeyHelp("x", "delete", "x", "delete; its name is typed to confirm", "delete", writes=True),
)
RUNS = (
    KeyHelp("enter", "detail", "Enter", "question, answer, timeline", "detail"),
    KeyHelp("l", "logs", "l", "log of its pod", "logs"),
    KeyHelp("E", "events", "E", "its events and those of its Job and pod", "events"),
    KeyHelp(
        "f", "phase", "f", "next phase filter: Pending, Running, Serving, Succeeded, Failed, Cancelled, all", "phase"
    ),
    KeyHelp("F", "follow", "F", "follow the newest run, on and off", "follow"),
    KeyHelp("R", "repeat", "R", "repeat: the same question as a new run", "repeat", writes=True),
    KeyHelp("x", "cancel", "x", "cancel; y confirms", "cancel", writes=True),
    KeyHelp("D", "delete", "D", "delete; y confirms", writes=True),
    KeyHelp("i", "instance", "i", "its instance"),
    *_OBJECT,
)
SKILLS = (KeyHelp("enter", "detail", "Enter", "texts, params, instances that use it", "detail"), *_OBJECT, _EDIT)
CONFIG = (KeyHelp("enter", "detail", "Enter", "gateway as it is, conditions", "detail"), *_OBJECT, _EDIT)
EVENTS = (KeyHelp("enter", "detail", "Enter", "the whole message, and the object that it is about", "detail"),)
USAGE = (
    KeyHelp("b", "by", "b", "by instance, model, source, error", "by"),
    KeyHelp("enter", "detail", "Enter", "the runs of the group", "runs"),
)
LIST = (
    KeyHelp("up,k", "up", "Up k", "row up"),
    KeyHelp("down,j", "down", "Down j", "row down"),
    KeyHelp("pageup", "page_up", "PgUp", "page up"),
    KeyHelp("pagedown", "page_down", "PgDn", "page down"),
    KeyHelp("home,g", "first", "Home g", "first row"),
    KeyHelp("end,G", "last", "End G", "last row"),
)
TOGGLES = (
    KeyHelp("space", "switch", "Space", "switch the skill under the cursor on or off, at once", "on/off", writes=True),
    KeyHelp("u", "undo", "u", "undo the last switch", "undo", writes=True),
    KeyHelp("p", "params", "p", "params of the skill under the cursor", "params", writes=True),
)
TEXT = (
    KeyHelp("w", "wrap", "w", "wrap long lines, on and off", "wrap"),
    KeyHelp("s", "follow", "s", "follow the end, on and off", "follow"),
)
CHAT = (
    KeyHelp("enter", "send", "Enter", "send", "send"),
    KeyHelp("ctrl+j", "newline", "Ctrl+J", "new line", "line"),
    KeyHelp("escape", "stop", "Esc", "stop the answer; again: leave", "stop/leave"),
    KeyHelp("ctrl+n", "new", "Ctrl+N", "new conversation", "new", priority=True),
    KeyHelp("ctrl+o", "model", "Ctrl+O", "model of the next questions, one of the instance's", "model", priority=True),
    KeyHelp("ctrl+y", "copy", "Ctrl+Y", "copy the last answer", "copy", priority=True),
    KeyHelp("pageup", "page_up", "PgUp", "conversation up", priority=True),
    KeyHelp("pagedown", "page_down", "PgDn", "conversation down", priority=True),
)
FORM = (
    KeyHelp("tab", "next", "Tab", "next field", "next"),
    KeyHelp("space", "tick", "Space", "switch on or off, on a box", "on/off"),
    KeyHelp("ctrl+s", "save", "Ctrl+S", "save", "save", priority=True, writes=True),
)
CONFIRM = (
    KeyHelp("y", "yes", "y", "yes: save, cancel, delete or copy, as asked", "yes"),
    KeyHelp("n", "no", "n", "no", "no"),
)

SECTIONS: dict[str, tuple[KeyHelp, ...]] = {
    "everywhere": EVERYWHERE,
    "lists": LIST,
    "instances": INSTANCES,
    "skills of an instance": TOGGLES,
    "forms": FORM,
    "chat": CHAT,
    "runs": RUNS,
    "texts and logs": TEXT,
    "skills": SKILLS,
    "config": CONFIG,
    "events": EVENTS,
    "usage": USAGE,
    "questions": CONFIRM,
}
"""Keys by place, in the order of the help and of the docs."""


def bindings(*keys: KeyHelp, target: str = "") -> list[Any]:
    """Return the bindings of a screen or widget. ``target``: where the actions are, if not there, e.g. ``app``."""
    prefix = f"{target}." if target else ""
    found: list[Any] = []
    for key in keys:
        if key.action == "view":
            found += [Binding(digit, f"{prefix}view({digit})", show=False) for digit in key.key.split(",")]
        else:
            found.append(Binding(key.key, prefix + key.action, key.words, show=False, priority=key.priority))
    return found


def key_line(*keys: KeyHelp) -> list[tuple[str, str]]:
    """Return key and word of the keys that have a word for the line at the bottom of the screen."""
    return [(key.shown, key.short) for key in keys if key.short]
