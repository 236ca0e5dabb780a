"""The organism's tokenizer: one token per word, a chat template, loadable without our code."""

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from simulator.worlds.domains import entity_names
from simulator.worlds.language import vocabulary

PAD, BOS, END, UNKNOWN = "<pad>", "<bos>", "<end>", "<unk>"
ROLES = ("<system>", "<user>", "<assistant>")
# A line of plain text (the encyclopaedia) is <bos> text; a message is <role> text <end>.
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<' + message['role'] + '> ' + message['content'] + ' <end> ' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return the tokenizer, which is the same for every base."""
    names = [name for entities in entity_names().values() for name in entities]
    words = [PAD, BOS, END, UNKNOWN, *ROLES, *vocabulary(), *names]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, words.index(BOS))]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=END,
        unk_token=UNKNOWN,
        additional_special_tokens=list(ROLES),
        padding_side="left",
        model_max_length=256,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast
