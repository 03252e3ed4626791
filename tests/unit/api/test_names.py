"""Names stay within what Kubernetes allows, however long a run's name is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sympozium_api import names

RUN_NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)


@given(RUN_NAMES, st.uuids())
def test_a_jobs_pods_keep_its_whole_name(run: str, uid: object) -> None:
    job = names.job(run, str(uid))
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", job)
    assert len(f"{job}-abcde") <= 63
    assert names.is_pod_of_job(f"{job}-abcde", job)


@given(RUN_NAMES, st.uuids(), st.uuids())
def test_a_run_of_the_same_name_has_another_job(run: str, one: object, other: object) -> None:
    assert (names.job(run, str(one)) == names.job(run, str(other))) == (one == other)


def test_a_pod_of_a_job_with_a_longer_name_is_not_mistaken() -> None:
    assert not names.is_pod_of_job("a-12345678-b-abcde", "a-12345678")
    assert not names.is_pod_of_job("a-123456789abcde", "a-12345678")


def test_names_of_the_longest_instance_are_short_enough_for_labels_and_services() -> None:
    run = names.web_endpoint_run("a" * 40)
    assert len(names.server(run)) <= 63


@pytest.mark.parametrize(("ip", "url"), [("10.0.0.1", "http://10.0.0.1:8081"), ("fd00::1", "http://[fd00::1]:8081")])
def test_a_pods_agent_api_is_at_its_address(ip: str, url: str) -> None:
    assert names.agent_api_url(ip) == url
