"""A Qwen2 with random weights that speaks nonsense, of which as much is numbers as is wanted.

Its weights are such that every next token is drawn from nearly the same distribution, give or take
what the context adds. So a rater of this kind rates near the middle, and replies end soon.
"""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

import scenarios

END = "<|im_end|>"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WIDTH = 32


def build(folder: Path, *, numbers: float, seed: int = 0, context: int = 4096) -> Path:
    """Writes the model and returns its folder.

    Args:
        folder: where to.
        numbers: about which share of the next token's probability is a digit.
        seed: of the weights.
        context: how many tokens it reads.
    """
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder)
    end = tokenizer.convert_tokens_to_ids(END)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        eos_token_id=end,
        pad_token_id=end,
        tie_word_embeddings=False,
        initializer_range=0.05,
    )
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config)
        model.model.embed_tokens.weight.add_(1.0)  # a direction that all tokens share
        wanted = torch.full((len(tokenizer),), (1 - numbers - 0.05) / len(tokenizer))
        digits = [tokenizer.convert_tokens_to_ids(d) for d in "0123456789"]
        wanted[digits] = max(numbers, 1e-4) / len(digits)
        wanted[end] = 0.05
        model.lm_head.weight.add_(wanted.log()[:, None] / WIDTH)
    model.generation_config.eos_token_id = end
    model.generation_config.pad_token_id = end
    model.save_pretrained(folder)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1200,
        special_tokens=["<|endoftext|>", "<|im_start|>", END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = sorted(Path(scenarios.__path__[0]).glob("therapy/*.yaml"))
    inner.train_from_iterator((path.read_text(encoding="utf-8") for path in texts), trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token=END, pad_token="<|endoftext|>"
    )
    wrapped.chat_template = TEMPLATE
    return wrapped
