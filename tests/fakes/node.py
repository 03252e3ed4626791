"""A node whose pods are real agents in threads of this process: idle ones, and those of the Jobs that the operator makes for runs."""

import asyncio
import itertools
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from dataclasses import dataclass
from pathlib import Path

from tests.fakes import agent_thread
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.pod import TokenIssuer

from sympozium_agent.agent_settings import AgentSettings, Timeouts
from sympozium_agent.waiting import Event
from sympozium_api import names
from sympozium_api.resources import INSTANCES, JOBS, PODS, RUNS, Object

GENERATION = "0a1b2c3d"
_PATIENCE = Timeouts(first_backoff=0.002, longest_backoff=0.02, delivery_grace=2, shutdown_grace=0.5, idle_exit_delay=0)
_LOOK_SECONDS = 0.02
_STARTED = "2026-01-01T00:00:00Z"


@dataclass(eq=False)
class Pod:
    """An agent, with a name, a token and a key for its model of its own: the key is its name."""

    name: str
    task: "asyncio.Future[int]"
    folder: Path
    stop: Event

    @property
    def job(self) -> str:
        """Its Job's name."""
        return names.job_of_pod(self.name)

    @property
    def last_words(self) -> str:
        """Its termination message."""
        file = self.folder / "termination-log"
        return file.read_text() if file.exists() else ""

    def kill(self) -> None:
        """SIGKILL: it says nothing more, and its connections are closed."""
        self.task.cancel()

    def terminate(self) -> None:
        """SIGTERM."""
        self.stop.set()


@dataclass(eq=False)
class ProcessPod(Pod):
    """An agent in a process of its own."""

    process: Process

    def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()

    def terminate(self) -> None:
        self.process.terminate()


def started(
    job: str, folder: Path, issuer: TokenIssuer, addresses: tuple[str, ...], *, run: str | None = None, ttl: float = 600
) -> Pod:
    """A pod of this Job, that knows these runs surfaces; without a run it is an idle one."""
    name, stop = f"{job}-abcde", Event()
    own = _files(name, folder, issuer)
    settings = AgentSettings(
        run=run,
        addresses=addresses,
        token_file=own / "token",
        key_files=(own / "api-key",),
        termination_file=own / "termination-log",
        instance="demo",
        idle_ttl=ttl,
    )
    return Pod(name, agent_thread.started(settings, stop, environ={}, timeouts=_PATIENCE), own, stop)


async def started_process(job: str, folder: Path, issuer: TokenIssuer, surface: str) -> ProcessPod:
    """An idle pod of this Job in a process of its own."""
    name = f"{job}-abcde"
    own = _files(name, folder, issuer)
    arguments = ("-m", "tests.fakes.agent_process", str(own), surface)
    environ = {variable: value for variable, value in os.environ.items() if "proxy" not in variable.lower()}
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, env=environ, stderr=DEVNULL)
    return ProcessPod(name, asyncio.create_task(process.wait()), own, Event(), process)


def _files(name: str, folder: Path, issuer: TokenIssuer) -> Path:
    own = folder / name
    own.mkdir(parents=True)
    (own / "token").write_text(issuer.token(name, "demo-agent"))
    (own / "api-key").write_text(name)
    return own


class Node:
    """Job controller and kubelet. Start ``run`` as a task."""

    def __init__(self, kubernetes: FakeKubernetes, folder: Path, surface: str) -> None:
        self.pods: dict[str, Pod] = {}
        """By Job, those that have not been forgotten."""
        self.reports = True
        """True if a pod's end is reported at once; in a cluster that takes a second or more."""
        self._kubernetes = kubernetes
        self._issuer = TokenIssuer(kubernetes)
        self._folder = folder
        self._surface = surface
        self._numbers = itertools.count()
        self._reported: set[str] = set()

    def idle_pod(self) -> Pod:
        """A pod of the pool, which waits at the replicas' Service."""
        return self._start(self._idle_job(), run=None, addresses=(self._surface,))

    async def idle_process(self) -> Pod:
        """A pod of the pool in a process of its own."""
        job = self._idle_job()
        pod = self.pods[job] = await started_process(job, self._folder, self._issuer, self._surface)
        return pod

    async def run(self) -> None:
        """Start the pods of new Jobs, report those that have ended, and kill those whose Job is gone; without end."""
        while True:
            jobs = set(self._kubernetes.names(JOBS))
            for name in jobs - set(self.pods):
                job = self._kubernetes.object(JOBS, name)
                [owner, *_] = job["metadata"]["ownerReferences"]
                if owner["kind"] == "AgentRun":  # an idle pod's process may still be starting
                    self._start_cold(job, owner["name"])
            for name, pod in self.pods.items():
                if name not in jobs:
                    pod.kill()
                elif self.reports and pod.task.done() and name not in self._reported:
                    self._report(pod)
            await asyncio.sleep(_LOOK_SECONDS)

    def forget(self, job: str) -> None:
        """Remove a Job that has ended and its pod, as the operator and time would."""
        pod = self.pods.pop(job)
        pod.kill()
        self._reported.discard(job)
        for kind, name in ((JOBS, job), (PODS, pod.name)):
            if name in self._kubernetes.names(kind):
                self._kubernetes.remove(kind, name)

    async def close(self) -> None:
        """Kill all pods."""
        for pod in self.pods.values():
            pod.kill()
        await asyncio.gather(*(pod.task for pod in self.pods.values()), return_exceptions=True)

    def _idle_job(self) -> str:
        job = names.idle_job("demo", GENERATION, f"{next(self._numbers):06x}")
        instance = self._kubernetes.object(INSTANCES, "demo")
        labels = {names.LABEL_INSTANCE: "demo", names.LABEL_WARM: names.IDLE}
        self._kubernetes.put(_owned("batch/v1", "Job", job, by=instance, labels=labels))
        return job

    def _start_cold(self, job: Object, name: str) -> None:
        run = self._kubernetes.object(RUNS, name)
        reply_to = run["metadata"].get("annotations", {}).get(names.ANNOTATION_REPLY_TO, self._surface)
        self._start(job["metadata"]["name"], run["metadata"]["name"], (reply_to, self._surface))

    def _start(self, job: str, run: str | None, addresses: tuple[str, ...]) -> Pod:
        pod = self.pods[job] = started(job, self._folder, self._issuer, addresses, run=run)
        return pod

    def _report(self, pod: Pod) -> None:
        """Write the statuses of an ended pod and of its Job."""
        self._reported.add(pod.job)
        code = 137 if pod.task.cancelled() else pod.task.result()
        terminated = {"exitCode": code, "message": pod.last_words, "startedAt": _STARTED}
        phase = "Failed" if code else "Succeeded"
        job = self._kubernetes.object(JOBS, pod.job)
        body = _owned("v1", "Pod", pod.name, by=job)
        body["metadata"]["labels"] = {"batch.kubernetes.io/job-name": pod.job}
        status = {"phase": phase, "containerStatuses": [{"state": {"terminated": terminated}}]}
        spec = {"nodeName": "node", "containers": [{"name": "agent"}]}
        self._kubernetes.put(body | {"spec": spec, "status": status})
        self._kubernetes.put({**job, "status": {phase.lower(): 1}})


def _owned(version: str, kind: str, name: str, *, by: Object, labels: dict[str, str] | None = None) -> Object:
    owner = {"apiVersion": by["apiVersion"], "kind": by["kind"], "name": by["metadata"]["name"]}
    reference = owner | {"uid": by["metadata"]["uid"], "controller": True}
    metadata = {"name": name, "labels": labels or {}, "ownerReferences": [reference]}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}
