"""The form of an instance's warm pool."""

from sympozium_api.resources import INSTANCES, Object
from sympozium_cli.object_changes import change
from sympozium_cli.tui.screens.form import FormScreen
from sympozium_cli.tui.views import kubectl_lines
from sympozium_cli.tui.views.forms import pool_fields, with_pool
from sympozium_cli.tui.views.instances import endpoint_is_on
from sympozium_cli.tui.views.lines import Line
from sympozium_cli.tui.views.reading import Key, count_at


class PoolForm(FormScreen):
    """Number of idle pods, most of them, and how long one stays idle."""

    def __init__(self, key: Key, instance: Object) -> None:
        idle = count_at(instance, "status", "warmPool", "idle") or 0
        notes = [Line(f"{idle} idle now, at most 10 s old. Each idle pod keeps its requests of CPU and memory.", "dim")]
        if not endpoint_is_on(instance):
            notes.append(Line("! The web endpoint is off, and without it there is no pool: w switches it on.", "warn"))
        super().__init__(f"Warm pool of {key[0]}/{key[1]}", pool_fields(instance), notes)
        self._key = key

    async def save(self, edited: dict[str, str | bool]) -> None:
        """Write the pool."""
        stored, _ = await change(self.world.client, INSTANCES, self._key, lambda body: with_pool(body, edited))
        pool = stored["spec"]["agents"]["default"].get("warmPool")
        patch = {"spec": {"agents": {"default": {"warmPool": pool}}}}
        self.world.done_line = kubectl_lines.of_patch(self.world.kubectl_args, INSTANCES, self._key, patch)

    def kubectl_line(self) -> str:
        """Return the line that shows the pool."""
        path = "jsonpath={.spec.agents.default.warmPool}"
        return kubectl_lines.of_object(self.world.kubectl_args, "get", INSTANCES, self._key, "-o", path)
