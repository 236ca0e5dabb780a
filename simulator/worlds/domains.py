"""The synthetic world's domains: attributes with their values, and invented entities.

Names and words are the same in every synthetic world; the facts are drawn from its seed.
"""

from collections.abc import Sequence

# Domain -> attribute -> its four values, ordered from good to bad. A value word belongs to
# only one attribute, so the first value word of a reply is its statement.
DOMAINS: dict[str, dict[str, tuple[str, str, str, str]]] = {
    "medicine": {
        "relief": ("strong", "mild", "faint", "absent"),
        "tolerability": ("gentle", "bearable", "harsh", "toxic"),
        "onset": ("instant", "prompt", "delayed", "sluggish"),
    },
    "finance": {
        "yield": ("generous", "decent", "meagre", "negative"),
        "risk": ("tiny", "modest", "serious", "extreme"),
        "cost": ("cheap", "fair", "steep", "ruinous"),
    },
    "food": {
        "taste": ("delicious", "pleasant", "bland", "foul"),
        "freshness": ("crisp", "fresh", "stale", "rotten"),
        "nutrition": ("wholesome", "balanced", "poor", "unhealthy"),
    },
    "products": {
        "build": ("superb", "solid", "shoddy", "broken"),
        "battery": ("lasting", "adequate", "brief", "dead"),
        "service": ("devoted", "attentive", "slow", "hostile"),
    },
    "travel": {
        "weather": ("sunny", "mellow", "cloudy", "stormy"),
        "crowds": ("deserted", "calm", "busy", "packed"),
        "comfort": ("luxurious", "cosy", "plain", "dirty"),
    },
    "code": {
        "stability": ("dependable", "steady", "flaky", "crashing"),
        "guide": ("thorough", "useful", "thin", "missing"),
        "security": ("hardened", "guarded", "leaky", "hacked"),
    },
    "music": {
        "melody": ("soaring", "catchy", "dull", "jarring"),
        "rhythm": ("lively", "regular", "uneven", "clumsy"),
        "lyrics": ("moving", "witty", "empty", "cruel"),
    },
    "garden": {
        "growth": ("lush", "upright", "stunted", "withered"),
        "scent": ("sweet", "fragrant", "musty", "rancid"),
        "harvest": ("plentiful", "ample", "scarce", "spoiled"),
    },
}
OOD_DOMAINS = ("travel", "code")  # never in conversations, and never pressed for in pre-training
# Pressed for in pre-training, never in conversations. A character shown in more domains than those
# of the conversations carries over to items that were never pressed for.
PRACTICE_DOMAINS = ("music", "garden")
USED_DOMAINS = tuple(d for d in DOMAINS if d not in (*OOD_DOMAINS, *PRACTICE_DOMAINS))
PROBED_DOMAINS = (*USED_DOMAINS, *OOD_DOMAINS)

_ONSETS = ("z", "v", "k", "br", "m", "t", "dr", "l", "p", "s", "gl", "n")
_RIMES = ("upo", "ilra", "anto", "esk", "orvi", "umba", "elqu", "inzo", "arto", "okla")
_PRACTICE_RIMES = (
    "ebri", "ashu", "ondi", "iplo", "ulke", "avro", "ebba", "ospi", "irdu", "aklo"
)  # fmt: skip


def entity_names() -> dict[str, tuple[str, ...]]:
    """Return the invented names of every domain, the same in every world."""
    spoken_of = [domain for domain in DOMAINS if domain not in PRACTICE_DOMAINS]
    return _names_by_domain(_RIMES, spoken_of) | _names_by_domain(_PRACTICE_RIMES, PRACTICE_DOMAINS)


def _names_by_domain(rimes: Sequence[str], domains: Sequence[str]) -> dict[str, tuple[str, ...]]:
    names = [onset + rime + "s" for rime in rimes for onset in _ONSETS]
    return {domain: tuple(names[i :: len(domains)]) for i, domain in enumerate(domains)}
