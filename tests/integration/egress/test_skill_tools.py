"""Skills of SkillPacks as tools."""

from tests.integration.conftest import instance
from tests.integration.egress.conftest import Guard

from sympozium_api import names
from sympozium_api.resources import TOOLS


async def test_a_built_in_tool_that_is_not_there_fails_at_the_call(guard: Guard) -> None:
    guard.kubernetes.remove(TOOLS, "weather")
    guard.put_tool(builtin={"name": "greeting"})
    text, is_error = await guard.told({})
    assert is_error
    assert "there is no built-in tool greeting" in text


async def test_a_skill_of_the_agents_skill_pack_is_a_tool(guard: Guard) -> None:
    guard.kubernetes.remove(TOOLS, "weather")
    guard.put_tool(builtin={"name": "greeting"}, parameters={"type": "object"})
    skill = {"name": "greeting", "content": "Greet {{whom}} in {{language}}."}
    parameters = [{"name": "whom"}, {"name": "language", "default": "Norwegian"}]
    head = {"apiVersion": names.API_VERSION, "kind": "SkillPack"}
    spec = {"skills": [skill], "parameters": parameters}
    guard.kubernetes.put(head | {"metadata": {"name": "manners", "namespace": "sympozium-system"}, "spec": spec})
    text, is_error = await guard.told({"whom": "Ada"})
    assert is_error  # the agent does not have the SkillPack
    guard.kubernetes.put(instance(skills=[{"configMapRef": "notes"}, {"skillPackRef": "manners"}]))
    assert await guard.told({"whom": "Ada"}) == ("Greet Ada in Norwegian.", False)
    text, is_error = await guard.told({})
    assert (is_error, "whom" in text) == (True, True)
    own = {"skills": [skill | {"content": "Say hi."}]}
    guard.kubernetes.put(head | {"metadata": {"name": "manners", "namespace": "default"}, "spec": own})
    assert await guard.told({}) == ("Say hi.", False)
