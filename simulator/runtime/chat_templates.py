"""Which chat template each model of a run is asked by, for the run's manifest."""

import hashlib
from typing import TYPE_CHECKING

from simulator.backends.config import OpenAIConfig
from simulator.simulation.config import ASSISTANT

if TYPE_CHECKING:
    from simulator.config.scenario import Scenario


def chat_templates(scenario: "Scenario") -> dict[str, dict[str, str]]:
    """Return the chat template of the assistant and of each role with a model of its own.

    An endpoint renders chats itself. `name` is `model` for the model's template, and `plain` for
    ours, which a base model without one gets.

    Raises:
        BackendError: a model's tokenizer can't be loaded, or its template leaves out what users
            say.
    """
    from simulator.models.chat_template import encoder_of  # transformers takes seconds to load

    models = {ASSISTANT: (scenario.backend, scenario.assistant_ref)} | {
        name: (scenario.roles[name].backend, scenario.role_ref(scenario.roles[name]))
        for name in sorted(scenario.asked_roles & scenario.roles.keys())
    }
    found = {}
    for name, (backend, model) in models.items():
        if isinstance(backend, OpenAIConfig):
            continue
        renderer = encoder_of(model).renderer
        digest = hashlib.sha256(renderer.template.encode()).hexdigest()
        found[name] = {"name": renderer.name, "sha256": digest, "date": model.template_date}
    return found
