"""The form of an instance's skills after a conflict."""

import json

import pytest

from sympozium_console.pages.instance_skills import form_of
from sympozium_console.pages.page_changes import Faults

CONFLICT = Faults("Somebody else has changed it.", is_conflict=True)


@pytest.mark.parametrize("path", ["", "skill", "other/path"])
def test_a_beginning_that_is_not_the_forms_own_is_left_out(path: str) -> None:
    typed = [("was", json.dumps({path: "on", "skill/web": "on"})), ("skill", "web")]
    form = form_of([], typed, CONFLICT)
    assert [(one.label, one.yours, one.theirs, one.was) for one in form.conflicts] == [("web", "on", "", "on")]
    assert form.values["skill/web"] == ""
