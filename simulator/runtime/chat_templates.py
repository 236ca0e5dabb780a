"""Which chat template each model of a run is asked by, for the run's manifest."""

import hashlib
from typing import TYPE_CHECKING

from simulator.runtime.model_checks import used_models

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

    found = {}
    for used in used_models(scenario):
        renderer = encoder_of(used.model).renderer
        digest = hashlib.sha256(renderer.template.encode()).hexdigest()
        date = used.model.template_date
        found[used.role] = {"name": renderer.name, "sha256": digest, "date": date}
    return found
