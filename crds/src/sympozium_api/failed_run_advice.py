"""Advice after a failed run, by the type of its error. docs/reference/errors.md has the causes. Pure."""

_HELP = {
    "model_error": "The model server refused the request. Its own words are above: a wrong model name, a wrong key and a question that is "
    "too long are the usual reasons.",
    "model_unreachable": "Check the instance's baseURL, and that its pods may reach that address; the condition ModelReachable says more.",
    "start_failed": "The pod could not start. Kubernetes' reason is above: an image, a quota, a policy, or no node with room.",
    "skills_missing": "A skill that the instance names is not there; the instance's condition Accepted says which.",
    "model_secret_missing": "Create the Secret with the model's API key that the message names, in the instance's namespace.",
    "model_secret_refused": "The Secret is not meant for a model. Name another one in authRefs, or label this one as the message says.",
    "answer_too_large": "Ask for a shorter answer, or bound it with max_tokens.",
    "answer_not_storable": "The API server refused to store the answer: a policy, a webhook or a missing right. Its words are above.",
    "instance_missing": "The instance was deleted before the run could start.",
    "timeout": "Raise the instance's runTimeout, or ask for less. A model that is overloaded needs this too.",
    "limit_exceeded": "The agent's calls of tools reached a limit of the instance, agents.default.limits; raise it if the work needs more.",
    "lost": "The pod or its node disappeared. Ask again: a run is never started twice by itself.",
    "terminated": "The pod was ended from outside, as a node was drained or was short of memory. Ask again.",
    "agent_error": "This is a fault of the agent. The pod's log has it; ask again, and report it with the run's name.",
    "deadline_exceeded": "The caller did not wait long enough.",
    "cancelled": "The caller left, somebody cancelled the run, or it was deleted. Repeat it if its answer is still wanted.",
    "answer_not_delivered": "The model answered, and nobody took the answer before the pod's deadline. Look at the runs server and the "
    "web-proxies, then ask again.",
    "policy_denied": "A SympoziumPolicy of the namespace or of the installation does not allow this; the message names it. Ask for what it "
    "allows, or whoever keeps the policy.",
    "caller_lost": "The web-proxy that held the caller's headers for the model ended. Ask again.",
    "task_refused": "The question cannot be read as it is stored; the message names the field. Send it again.",
    "internal_error": "The pod ended in a way that has no name. Its log, and the pod's status, say more.",
}
_OTHER = "The run's page has its conditions, events and log."


def what_helps(error_type: str) -> str:
    """Return a sentence on what a reader can do about an error of a type."""
    return _HELP.get(error_type, _OTHER)
