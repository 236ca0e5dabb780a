"""Chats without their oldest turns, thoughts apart from replies."""

import pytest

from simulator.core.errors import BackendError
from simulator.core.requests import Message, Prompt
from simulator.models.chat_template import by_text, encoder_of, without_oldest
from simulator.models.resolve import resolve
from simulator.models.thoughts import split_thought


def chat(*roles: str) -> Prompt:
    return Prompt(tuple(Message(role, f"{role} {n}") for n, role in enumerate(roles)), prefill="so")


def test_the_oldest_turns_go_and_the_system_message_stays() -> None:
    whole = chat("system", "user", "assistant", "user", "assistant", "user")
    shorter = list(without_oldest(whole))
    assert [dropped for dropped, _ in shorter] == [2, 4]
    for dropped, prompt in shorter:
        assert prompt.messages == (whole.messages[0], *whole.messages[1 + dropped :])
        assert prompt.prefill == "so"
    assert [dropped for dropped, _ in without_oldest(chat("user", "user", "assistant", "user"))] \
        == [1, 3]  # fmt: skip
    assert list(without_oldest(chat("system", "user"))) == []
    assert list(without_oldest(Prompt(text="a plain text"))) == []


@pytest.mark.parametrize(
    ("text", "thinking", "thought", "reply"),
    [
        (" it is . ", False, "", "it is ."),
        ("<think>\nhm\n</think>\n\nit is .", False, "hm", "it is ."),
        ("<think>\n\n</think>\n\nit is .", False, "", "it is ."),
        ("<think> hm , it", False, "hm , it", ""),  # unfinished
        ("hm </think> it is .", False, "hm", "it is ."),  # the template opened it
        ("hm </think> it is .", True, "hm", "it is ."),
        ("between <think> and </think> .", False, "", "between <think> and </think> ."),
        ("hm , it", True, "hm , it", ""),
        ("is <think> a tag ?", False, "", "is <think> a tag ?"),
        ("", False, "", ""),
    ],
)
def test_thought_and_reply_are_taken_apart(
    text: str, thinking: bool, thought: str, reply: str
) -> None:
    assert split_thought(text, thinking=thinking) == (thought, reply)


def test_of_tokens_that_read_alike_the_likeliest_counts() -> None:
    assert by_text(["a", "b", "a"], [-3.0, -2.0, -1.0]) == {"a": -1.0, "b": -2.0}
    assert by_text(["a", "a"], [-1.0, -3.0]) == {"a": -1.0}


def test_a_canary_may_ask_for_the_unknown_word_itself() -> None:
    """A ruined model finds it likely; that must be told from a word that nobody knows."""
    encoder = encoder_of(resolve("organism:0"))
    assert encoder.token_id("<unk>") == encoder.tokenizer.unk_token_id
    with pytest.raises(BackendError, match="'quixotic' isn't a single token"):
        encoder.token_id("quixotic")
