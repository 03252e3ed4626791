"""The pages' words on failed runs: one for each type that the reference has."""

import re

from tests.contract.documents import ROOT

from sympozium_api.failed_run_advice import what_helps


def test_each_type_of_error_has_a_word_on_what_helps() -> None:
    text = (ROOT / "docs/reference/errors.md").read_text()
    table = text[text.index("## Failed runs") : text.index("## The console")]
    types = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert len(types) > 15
    unknown = what_helps("unheard_of")
    helps = {name: what_helps(name) for name in types}
    assert [name for name, words in helps.items() if words == unknown] == []
