"""One meaning of switching a web endpoint: by skill or by field, with values that count."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sympozium_api import effective
from sympozium_api.instance import SympoziumInstance
from sympozium_api.web_endpoint_switch import switched

Object = dict[str, Any]
OTHERS: list[Object] = [{"skillPackRef": "triage", "params": {"team": "a"}}, {"configMapRef": "house-rules"}]
RPM: Object = {"rateLimit": {"requestsPerMinute": 7}}


def skill(**params: str) -> list[Object]:
    pack: Object = {"skillPackRef": "web-endpoint"} | ({"params": params} if params else {})
    return [OTHERS[0], pack, OTHERS[1]]


ON_BY_SKILL: Object = {"skills": skill()}
ON_BY_FIELD: Object = {"skills": OTHERS, "webEndpoint": {"enabled": True}}
OFF: Object = {"skills": OTHERS}
WITH_PARAM: Object = {"skills": skill(rate_limit_rpm="5", hostname="a.example.com")}


@pytest.mark.parametrize(
    ("spec", "enabled", "values", "expected"),
    [
        # without values
        (OFF, True, {}, ON_BY_FIELD),
        (OFF, False, {}, OFF),
        (ON_BY_FIELD, True, {}, ON_BY_FIELD),
        (ON_BY_FIELD, False, {}, {"skills": OTHERS, "webEndpoint": {"enabled": False}}),
        (ON_BY_SKILL, True, {}, ON_BY_SKILL),
        (ON_BY_SKILL, False, {}, OFF),
        ({"skills": skill(), "webEndpoint": {"enabled": True}}, True, {}, {"skills": skill()} | {"webEndpoint": {"enabled": True}}),
        ({"skills": skill(), "webEndpoint": {"enabled": True}}, False, {}, {"skills": OTHERS, "webEndpoint": {"enabled": False}}),
        ({}, True, {}, {"webEndpoint": {"enabled": True}}),
        ({}, False, {}, {}),
        # a value goes into the param if the skill has it, else into the field
        (WITH_PARAM, True, RPM, {"skills": skill(rate_limit_rpm="7", hostname="a.example.com")}),
        (WITH_PARAM, True, {"hostname": "b.example.com"}, {"skills": skill(rate_limit_rpm="5", hostname="b.example.com")}),
        (ON_BY_SKILL, True, RPM, {"skills": skill(), "webEndpoint": RPM}),
        (WITH_PARAM, True, {"rateLimit": {"burstSize": 3}}, WITH_PARAM | {"webEndpoint": {"rateLimit": {"burstSize": 3}}}),
        (ON_BY_FIELD, True, RPM, ON_BY_FIELD | {"webEndpoint": {"enabled": True} | RPM}),
        (OFF, False, RPM, OFF | {"webEndpoint": RPM}),
        (WITH_PARAM, True, {"replicas": 3}, WITH_PARAM | {"webEndpoint": {"replicas": 3}}),
        # None removes
        (WITH_PARAM, True, {"rateLimit": {"requestsPerMinute": None}}, {"skills": skill(hostname="a.example.com")}),
        (WITH_PARAM | {"webEndpoint": dict(RPM)}, True, {"rateLimit": None}, {"skills": skill(hostname="a.example.com")}),
        (ON_BY_FIELD | {"webEndpoint": {"enabled": True, "hostname": "a.b"}}, True, {"hostname": None}, ON_BY_FIELD),
        # off keeps what the params say, for the next time
        (
            WITH_PARAM | {"webEndpoint": {"rateLimit": {"requestsPerMinute": 1, "burstSize": 2}}},
            False,
            {},
            {
                "skills": OTHERS,
                "webEndpoint": {"rateLimit": {"requestsPerMinute": 5, "burstSize": 2}, "hostname": "a.example.com"},
            },
        ),
        ({"skills": skill(rate_limit_rpm="many", color="red")}, False, {}, OFF),
        # ... but for what a field refuses, with which the API server would refuse to switch off
        ({"skills": skill(hostname="a" * 254, auth_secret_ref="b" * 1024)}, False, {}, OFF),
        (WITH_PARAM, False, RPM, {"skills": OTHERS, "webEndpoint": RPM | {"hostname": "a.example.com"}}),
    ],
)  # fmt: skip
def test_switching(spec: Object, enabled: bool, values: Object, expected: Object) -> None:
    before = repr((spec, values))
    assert switched(spec, enabled=enabled, values=values) == expected
    assert repr((spec, values)) == before


def instance(spec: Object) -> SympoziumInstance:
    return SympoziumInstance.model_validate({"spec": spec | {"agents": {"default": {"model": "m"}}}})


COUNTS = st.integers(1, 1000)
SPECS = st.fixed_dictionaries(
    {
        "skills": st.sampled_from(
            [OTHERS, skill(), skill(rate_limit_rpm="5"), skill(rate_limit_burst="6", hostname="a.b")]
        )
    },
    optional={
        "webEndpoint": st.fixed_dictionaries(
            {"enabled": st.booleans()}, optional={"hostname": st.just("c.d"), "rateLimit": st.just({"burstSize": 9})}
        )
    },
)


@given(SPECS, COUNTS, st.booleans())
def test_what_is_switched_counts_and_comes_back_the_same(spec: Object, rate: int, enabled: bool) -> None:
    on = switched(spec, enabled=True, values={"rateLimit": {"requestsPerMinute": rate}})
    endpoint = effective.web_endpoint(instance(on))
    assert endpoint
    assert endpoint.rate_limit.requests_per_minute == rate
    off = switched(on, enabled=False)
    assert effective.web_endpoint(instance(off)) is None
    assert [ref for ref in off["skills"] if ref in OTHERS] == OTHERS
    assert effective.web_endpoint(instance(switched(off, enabled=True))) == endpoint
    twice = switched(switched(spec, enabled=enabled), enabled=enabled)
    assert twice == switched(spec, enabled=enabled)
