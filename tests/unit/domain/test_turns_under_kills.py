"""Two hundred turns of twenty sessions at three replicas, of which one after the other is killed and replaced."""

import asyncio
import random

from tests.fakes.session_world import Replica, SlowKubernetes, answering, messages_of, numbers, put_instance, turns_of

from sympozium_api import names

SESSIONS, TURNS, REPLICAS = 20, 10, 3
SECONDS_BETWEEN_KILLS = 0.15


class Cluster:
    """The replicas that are alive."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.kubernetes = SlowKubernetes(seed)
        put_instance(self.kubernetes, maxConcurrentRuns=50, maxQueuedRuns=500)
        self.replicas = [Replica(self.kubernetes) for _ in range(REPLICAS)]
        self.kills = 0

    async def kill_one_after_the_other(self) -> None:
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_KILLS)
            dying = self.replicas.pop(self.random.randrange(REPLICAS))
            self.replicas.append(Replica(self.kubernetes))
            await dying.die()
            self.kills += 1

    async def say(self, session: int, turn: int) -> str:
        """Ask for a turn at one replica after the other until one of them has made its run, as a client does."""
        while True:
            replica = self.random.choice(self.replicas)
            task = replica.says(f"{session}/{turn}", session=f"s{session}", key=f"{session}/{turn}")
            await asyncio.wait({task})
            if not task.cancelled():
                handle = task.result()
                handle.close()
                return handle.name

    async def hold(self, session: int) -> list[str]:
        """Hold a conversation of which two turns are asked for at a time, and a replica is killed for each two."""
        said = list[str]()
        for turn in range(0, TURNS, 2):
            while self.kills < turn // 2:
                await asyncio.sleep(0.01)
            said += await asyncio.gather(self.say(session, turn), self.say(session, turn + 1))
        return said


async def test_two_hundred_turns_stay_in_order_and_each_key_has_one() -> None:
    cluster = Cluster(seed=1)
    async with answering(cluster.kubernetes):
        killing = asyncio.create_task(cluster.kill_one_after_the_other())
        held = await asyncio.wait_for(asyncio.gather(*map(cluster.hold, range(SESSIONS))), 60)
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)
    runs = turns_of(cluster.kubernetes)
    assert len(runs) == SESSIONS * TURNS
    assert cluster.kills > 3
    for session, said in enumerate(held):
        of_session = sorted((run for run in runs if run["metadata"]["name"] in said), key=lambda run: numbers([run])[0])
        assert numbers(of_session) == list(range(1, TURNS + 1))
        assert len({run["metadata"]["labels"][names.LABEL_IDEMPOTENCY] for run in of_session}) == TURNS
        conversation = list[str]()
        for run in of_session:
            question = messages_of(run)[-1]
            assert question.startswith(f"{session}/")
            assert messages_of(run) == [*conversation, question]
            conversation += [question, f"re: {question}"]
    for replica in cluster.replicas:
        await replica.die()
