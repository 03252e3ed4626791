"""The form of an instance's web endpoint."""

from sympozium_api.resources import INSTANCES, Object
from sympozium_cli.object_changes import change
from sympozium_cli.tui.screens.form import FormScreen
from sympozium_cli.tui.views import kubectl_lines
from sympozium_cli.tui.views.forms import endpoint_fields, endpoint_values
from sympozium_cli.tui.views.instances import endpoint_is_on
from sympozium_cli.tui.views.lines import Line, labelled
from sympozium_cli.tui.views.reading import Key, at, text_at


class EndpointForm(FormScreen):
    """On or off, requests per minute, burst and host name."""

    def __init__(self, key: Key, instance: Object) -> None:
        endpoint = at(instance, "status", "webEndpoint")
        secret = text_at(endpoint, "authSecretName")
        notes = [
            *labelled("URL", text_at(endpoint, "url")),
            *labelled("API keys", f"kubectl get secret {secret} -n {key[0]} -o yaml" if secret else ""),
            Line("Off: new requests get 503; runs that were accepted end by themselves.", "dim"),
        ]
        super().__init__(f"Web endpoint of {key[0]}/{key[1]}", endpoint_fields(instance), notes)
        self._key = key

    async def save(self, edited: dict[str, str | bool]) -> None:
        """Write the values where they count: into the skill's params that are set, else into the fields."""
        from sympozium_api.web_endpoint_switch import switched

        values = endpoint_values(edited)

        def changed(body: Object) -> Object:
            is_on = bool(edited.get("enabled", endpoint_is_on(body)))
            return {**body, "spec": switched(body["spec"], enabled=is_on, values=values)}

        stored, _ = await change(self.world.client, INSTANCES, self._key, changed)
        verb = "enable" if endpoint_is_on(stored) else "disable"
        self.world.done_line = kubectl_lines.kubectl(
            self.world.kubectl_args, "sympozium", verb, self._key[1], "-n", self._key[0]
        )

    def kubectl_line(self) -> str:
        """Return the line that shows the web endpoint."""
        path = "jsonpath={.status.webEndpoint}"
        return kubectl_lines.of_object(self.world.kubectl_args, "get", INSTANCES, self._key, "-o", path)
