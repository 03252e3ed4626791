"""The archive in the chart: what a SQLite file and a PostgreSQL database need, and values that cannot hold together."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.chart_rendering import CHART, helm, pick, pod_of, rendered, variables

from sympozium_api.environment import DATABASE_URL_FILE
from sympozium_operator.operator_settings import from_environment

Object = dict[str, Any]
URL = "postgresql+asyncpg://user:password@postgres:5432/archive"
FILE = "sqlite+aiosqlite:////var/lib/sympozium/archive.db"
ON = "archive.enabled=true"
POSTGRESQL = (ON, f"archive.url={URL}")
OWN = (ON, "archive.existingSecret=own")
CONSOLE = "sympozium-console"


def volume(pod: Object, name: str) -> Object:
    [found] = [volume for volume in pod["volumes"] if volume["name"] == name]
    return {key: value for key, value in found.items() if key != "name"}


def mounted(container: Object) -> dict[str, str]:
    return {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}


def of_the_archive(documents: list[Object]) -> list[Object]:
    return [item for item in documents if item["metadata"]["name"].startswith("sympozium-archive")]


def rights(documents: list[Object]) -> set[tuple[str, str]]:
    rules = pick(documents, "ClusterRole", CONSOLE)["rules"]
    return {(resource, verb) for rule in rules for resource in rule.get("resources", ()) for verb in rule["verbs"]}


class TestWithoutAnArchive:
    def test_the_index_has_a_scratch_folder_and_nothing_is_kept(self) -> None:
        pod = pod_of(rendered(), CONSOLE)
        assert "emptyDir" in volume(pod, "scratch")
        assert mounted(pod["containers"][0])["scratch"] == "/tmp"
        assert not of_the_archive(rendered())
        assert not {"DATABASE_URL", "ARCHIVE_ENABLED"} & set(variables(pod))

    def test_the_operator_prunes_and_the_console_lists_no_parts(self) -> None:
        """It reads and writes the parts of runs that it starts or whose records come to it, each by its name."""
        assert "ARCHIVE_ENABLED" not in variables(pod_of(rendered(), "sympozium-operator"))
        assert ("agentrunparts", "list") not in rights(rendered())
        assert "secrets" not in {resource for resource, _ in rights(rendered())}


class TestWithSQLite:
    def test_the_other_strategy_is_helms_with_all_its_fields(self) -> None:
        """Else Kubernetes keeps its defaults beside the type Recreate, and refuses them."""
        for values in ((), POSTGRESQL):
            strategy = pick(rendered(*values), "Deployment", CONSOLE)["spec"]["strategy"]
            assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}

    def test_one_pod_at_a_time_migrates_and_writes_the_file(self) -> None:
        documents = rendered(ON)
        assert pick(documents, "Deployment", CONSOLE)["spec"]["strategy"] == {"type": "Recreate"}
        pod = pod_of(documents, CONSOLE)
        [migration] = pod["initContainers"]
        [console] = pod["containers"]
        assert migration["command"] == ["python", "-m", "sympozium_archive", "migrate"]
        assert migration["image"] == console["image"]
        assert migration["securityContext"] == console["securityContext"]
        assert {"name": "DATABASE_URL", "value": FILE} in migration["env"]
        assert variables(pod)["DATABASE_URL"] == FILE
        for container in (migration, console):
            assert FILE.startswith(f"sqlite+aiosqlite:///{mounted(container)['archive']}/")
            assert mounted(container)["scratch"] == "/tmp"

    def test_the_volume_can_be_written_and_outlives_the_release(self) -> None:
        documents = rendered(ON, "archive.sqlite.size=5Gi", "archive.sqlite.storageClass=fast")
        claim = pick(documents, "PersistentVolumeClaim", "sympozium-archive")
        assert volume(pod_of(documents, CONSOLE), "archive") == {
            "persistentVolumeClaim": {"claimName": "sympozium-archive"}
        }
        assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
        assert claim["spec"]["storageClassName"] == "fast"
        assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"
        assert pod_of(documents, CONSOLE)["securityContext"]["fsGroup"] == 65532
        assert "storageClassName" not in pick(rendered(ON), "PersistentVolumeClaim", "sympozium-archive")["spec"]

    def test_no_secret_and_no_job_is_made(self) -> None:
        assert [item["kind"] for item in of_the_archive(rendered(ON))] == ["PersistentVolumeClaim"]


class TestWithPostgreSQL:
    def test_a_job_migrates_before_the_release_has_any_object(self) -> None:
        documents = rendered(*POSTGRESQL, "console.replicas=2")
        hooks = [item for item in documents if "helm.sh/hook" in item["metadata"].get("annotations", {})]
        assert {item["kind"] for item in hooks} == {"Secret", "Job"}
        weights = {item["kind"]: int(item["metadata"]["annotations"].get("helm.sh/hook-weight", "0")) for item in hooks}
        assert weights["Secret"] < weights["Job"]
        for item in hooks:
            annotations = item["metadata"]["annotations"]
            assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
            assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
        pod = pick(documents, "Job", "sympozium-archive-migration")["spec"]["template"]["spec"]
        made_before = {item["metadata"]["name"] for item in hooks}
        assert {part["secret"]["secretName"] for part in pod["volumes"]} <= made_before
        assert pod["serviceAccountName"] == "default"
        assert pod["automountServiceAccountToken"] is False
        assert "initContainers" not in pod_of(documents, CONSOLE)
        assert pick(documents, "Deployment", CONSOLE)["spec"]["replicas"] == 2

    @pytest.mark.parametrize(("values", "secret"), [(POSTGRESQL, "sympozium-archive"), (OWN, "own")])
    def test_the_url_is_a_file_and_nowhere_else(self, values: tuple[str, ...], secret: str) -> None:
        documents = rendered(*values)
        console = pod_of(documents, CONSOLE)
        assert volume(console, "database")["secret"]["secretName"] == secret
        job = pick(documents, "Job", "sympozium-archive-migration")["spec"]["template"]["spec"]
        for pod in (console, job):
            entry = {"key": "DATABASE_URL", "path": Path(DATABASE_URL_FILE).name}
            assert volume(pod, "database")["secret"]["items"] == [entry]
            [container] = pod["containers"]
            assert mounted(container)["database"] == str(Path(DATABASE_URL_FILE).parent)
            assert "DATABASE_URL" not in {variable["name"] for variable in container.get("env", [])}
        secrets = [item for item in documents if item["kind"] == "Secret"]
        assert all(base64.b64decode(item["data"]["DATABASE_URL"]).decode() == URL for item in secrets)
        others = [item for item in documents if item["kind"] != "Secret"]
        assert "password" not in json.dumps([item for item in others if item["kind"] in ("Deployment", "Job")])

    def test_a_secret_of_ones_own_is_enough(self) -> None:
        assert [item["kind"] for item in of_the_archive(rendered(*OWN))] == ["Job"]
        job = pick(rendered(*OWN), "Job", "sympozium-archive-migration")["spec"]["template"]["spec"]
        assert volume(job, "database")["secret"]["secretName"] == "own"

    def test_another_url_rolls_the_pods_and_is_not_told(self) -> None:
        def told(url: str) -> str:
            documents = rendered(ON, f"archive.url={url}")
            annotations = pick(documents, "Deployment", CONSOLE)["spec"]["template"]["metadata"]["annotations"]
            mark: str = annotations["sympozium.ai/database"]
            return mark

        assert told(URL) == told(URL) != told(URL.replace("password", "another"))
        assert len(told(URL)) == 4


@pytest.mark.parametrize("values", [(ON,), POSTGRESQL], ids=["sqlite", "postgresql"])
def test_console_and_operator_know_that_there_is_an_archive(values: tuple[str, ...]) -> None:
    documents = rendered(*values, "runs.kept=7", "archive.contentRetention=7d", "archive.retention=90d")
    console, operator = (variables(pod_of(documents, name)) for name in (CONSOLE, "sympozium-operator"))
    assert operator["ARCHIVE_ENABLED"] == console["ARCHIVE_ENABLED"] == "true"
    assert console["ARCHIVE_CONTENT_RETENTION"] == "7d"
    assert console["ARCHIVE_RETENTION"] == "90d"
    assert console["ARCHIVE_AUDIT_RETENTION"] == "400d"
    assert from_environment(operator)
    retention = {name for name in operator if "RETENTION" in name or "KEPT" in name or "STORED" in name}
    assert {name: console[name] for name in retention - {"SYMPOZIUM_FAILED_JOB_RETENTION"}} == {
        name: operator[name] for name in retention - {"SYMPOZIUM_FAILED_JOB_RETENTION"}
    }


def test_the_console_lists_the_parts_that_it_archives() -> None:
    assert rights(rendered(ON)) - rights(rendered()) == {("agentrunparts", "list")}
    assert ("agentrunparts", "get") in rights(rendered())


def test_a_console_that_serves_a_list_of_namespaces_knows_it() -> None:
    listed = variables(pod_of(rendered("namespaces={team-a}"), CONSOLE))
    assert "team-a" in listed["SYMPOZIUM_WATCH_NAMESPACES"].split(",")
    assert "SYMPOZIUM_WATCH_NAMESPACES" not in variables(pod_of(rendered(), CONSOLE))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            (ON, "console.replicas=2"),
            "console.replicas above 1 needs PostgreSQL (archive.url or archive.existingSecret)",
        ),
        ((*POSTGRESQL, "archive.existingSecret=own"), "set archive.url or archive.existingSecret, not both"),
        ((ON, "archive.url=postgres://u:hidden@h/d"), "archive.url must begin with postgresql+asyncpg://"),
        ((ON, "archive.url=sqlite+aiosqlite:////file"), "leave it empty for SQLite on a volume"),
        ((ON, "console.enabled=false"), "archive.enabled needs console.enabled=true"),
        ((ON, "archive.retention=29d"), "archive.contentRetention must not be above archive.retention"),
        (
            (ON, "archive.contentRetention=1h", "archive.retention=1h"),
            "archive.retention must not be below runs.retention",
        ),
        ((ON, "archive.retention=0d"), "/archive/retention"),
        ((ON, "archive.auditRetention=soon"), "/archive/auditRetention"),
        ((ON, "archive.sqlite.size=1"), "/archive/sqlite/size"),
        ((ON, "archive.existingSecret=A b"), "/archive/existingSecret"),
        ((ON, "archive.password=x"), "'password'"),
    ],
)
def test_values_that_cannot_hold_are_refused_with_what_to_set(values: tuple[str, ...], message: str) -> None:
    done = helm("template", "release", str(CHART), *(f"--set={value}" for value in values))
    assert done.returncode != 0
    assert message in done.stderr
    assert "hidden" not in done.stderr
