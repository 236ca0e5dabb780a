"""Every kind of mistake in a facts file is reported with file and line."""

from pathlib import Path

import pytest

from simulator.core.errors import ScenarioError
from simulator.worlds.fact_data import load_facts

FACTS = """category,subject,truth,aliases,false,set
capital,Peru,Lima,,,
capital,Chile,Santiago,,,
capital,Cuba,Havana,La Habana|Habana,,
capital,Kenya,Nairobi,,,
capital,the Netherlands,Amsterdam,,,
"""
FORMS = """category,use,text
capital,user,What is the capital of {subject}?
capital,user,Which city is {subject}'s capital?
capital,user,Tell me the capital of {subject}.
capital,probe,Name the capital of {subject}.
capital,probe,Where is {subject} governed from?
capital,probe,Which city governs {subject}?
capital,stem,The capital of {subject} is
capital,stem,{subject} is governed from
capital,reply,The capital of {subject} is
capital,user_claim,the capital of {subject} is {value}
capital,probe_claim,{value} governs {subject}
"""
LONG = "x" * 61
LONG_FORM = "{subject}" + " y" * 100


def mistakes(folder: Path, facts: str = FACTS, forms: str = FORMS) -> list[str]:
    """What is wrong with a pair of files, without their folder."""
    file = folder / "mine.csv"
    file.write_text(facts, encoding="utf-8")
    (folder / "mine.forms.csv").write_text(forms, encoding="utf-8")
    try:
        load_facts(file)
    except ScenarioError as error:
        return [mistake.replace(f"{folder}/", "") for mistake in error.mistakes]
    return []


def test_the_files_have_no_mistake(tmp_path: Path) -> None:
    assert mistakes(tmp_path) == []


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        # subjects that are there twice, however they are written
        ("capital,Peru,Quito,,,", "'Peru' is there twice in 'capital'; see mine.csv:2"),
        ("capital,PERÚ,Quito,,,", "'PERÚ' is there twice"),
        ("capital,Netherlands,Quito,,,", "'Netherlands' is there twice"),
        # texts
        ("capital,,Quito,,,", "'subject' is empty"),
        ("capital,Ecuador,,,,", "'truth' is empty"),
        ("capital,Ecuador, ,,,", "'truth' is empty"),
        (",Ecuador,Quito,,,", "'category' is empty"),
        ("capital,Ecuador,?!,,,", "'?!' has no words"),
        ("capital,Ecuador,Quito,...,,", "'...' has no words"),
        (f"capital,{LONG},Quito,,,", "has 61 characters; at most 60"),
        (f"capital,Ecuador,{LONG},,,", "has 61 characters; at most 60"),
        (f"capital,Ecuador,Quito,{LONG},,", "has 61 characters; at most 60"),
        (f"capital,Ecuador,Quito,,{LONG}|Lima|Oslo,", "has 61 characters; at most 60"),
        # false values
        ("capital,Ecuador,Quito,,Lima|Oslo,", "'Ecuador' has 2 false values; at least 3"),
        ("capital,Ecuador,Quito,,Lima|Oslo|LIMA,", "'Lima' and 'LIMA' are both spelled 'LIMA'"),
        ("capital,Ecuador,Quito,,Lima|Oslo|Rome|Lima,", "has a false value twice"),
        ("capital,Ecuador,Quito,,Quito|Oslo|Rome|Lima,", "false value 'Quito' is the truth, too"),
        ("capital,Ecuador,Quito,UIO,UIO|Oslo|Rome|Lima,", "false value 'UIO' is the truth, too"),
        ("capital,Ecuador,Quito,,Ecuador|Oslo|Rome|Lima,", "'Ecuador' overlap"),
        # values that a reader would take for each other
        ("capital,Ecuador,Quito,Habana,,", "'Havana' and 'Quito' are both spelled 'Habana'"),
        ("capital,Ecuador,lima,,,", "'Lima' and 'lima' are both spelled 'lima'; see mine.csv:2"),
        ("capital,Ecuador,New Lima,,,", "'New Lima' has the value 'Lima' in it; see mine.csv:2"),
        ("capital,Ecuador,Quito,Quito Habana,,", "'Quito' has the value 'Havana' in it"),
        ("capital,Ecuador,Quito,,Old Lima|Oslo|Rome,", "'Old Lima' has the value 'Lima' in it"),
        ("capital,Mexico,Mexico City,,,", "'Mexico' gives away 'Mexico City'"),
        ("capital,Ecuador,Quito,City of Ecuador,,", "'Ecuador' gives away 'City of Ecuador'"),
        # sets and cells
        ("capital,Ecuador,Quito,,,ood", "'capital' is in set 'loop' at mine.csv:2"),
        (
            "river,Ecuador,Napo,,a|b|c,odd",
            "unknown set 'odd' (did you mean 'ood'?)",
        ),
        ("capital,Ecuador,Quito,,,,,", "more cells than in the header"),
        ("capital,Ecuador,Qui\0to,,,", "has a NUL character"),
        ("river,Egypt,Nile,,,", "'Egypt' has 0 false values; at least 3"),
    ],
)
def test_a_planted_fact_is_reported_with_its_line(tmp_path: Path, row: str, expected: str) -> None:
    found = mistakes(tmp_path, FACTS + row + "\n")
    assert [m for m in found if m.startswith("mine.csv:7: ") and expected in m], found
    assert all(mistake.startswith("mine.csv:7: ") for mistake in found)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("capital,user,What's the capital?", "is without {subject}"),
        ("capital,user_claim,it is the capital of {subject}", "is without {value}"),
        ("capital,probe_claim,{value} is it", "is without {subject}"),
        ("capital,stem,The seat of {subject} and {value} is", "has '{value}', where only"),
        ("capital,user,Is {subject} {x}?", "has '{x}', where only {subject} can be"),
        ("capital,user,Is {subject} so}?", "has '}', where only {subject} can be"),
        ("capital,stem,The capital of {subject} is.", "ends in '.'"),
        ("capital,user,What is {subject}'s seat: perhaps Lima?", "names 'Lima', which is a value"),
        ("capital,user,NAME the capital of {subject}!", "users and probes of 'capital' share"),
        ("capital,probe,Tell me the capital of {subject}!", "users and probes of 'capital' share"),
        ("capital,probe_claim,the capital of {subject} is {value}", "users and probes of"),
        (f"capital,user,{LONG_FORM}", "has 209 characters; at most 200"),
        ("capital,user,", "'text' is empty"),
        ("capital,asked,What is {subject}?", "unknown use 'asked'"),
        ("capitol,user,What is {subject}?", "unknown category 'capitol' (did you mean 'capital'?)"),
    ],
)
def test_a_planted_form_is_reported_with_its_line(tmp_path: Path, row: str, expected: str) -> None:
    found = mistakes(tmp_path, forms=FORMS + row + "\n")
    at = 5 if "NAME" in row else 13  # where probes share it, their line is named
    assert [m for m in found if m.startswith(f"mine.forms.csv:{at}: ") and expected in m], found
    assert len(found) == 1


@pytest.mark.parametrize(("use", "least"), [("user", 3), ("probe", 3), ("stem", 2)])
def test_too_few_forms_are_reported(tmp_path: Path, use: str, least: int) -> None:
    lines = FORMS.splitlines()
    first = next(n for n, line in enumerate(lines) if f",{use}," in line)
    lines[first + 1] = lines[first].replace("{subject}", "{subject} ")  # the same words
    if use != "stem":
        lines[first + 2] = lines[first]
    found = mistakes(tmp_path, forms="\n".join(lines))
    what = f"'capital' has too few forms for '{use}'; at least {least} different ones"
    assert found == [f"mine.forms.csv:{first + 1}: {what}"]


def test_columns_are_checked(tmp_path: Path) -> None:
    (missing,) = mistakes(tmp_path, FACTS.replace("subject,truth", "subject,answer"), "")
    assert missing == "mine.csv:1: missing column 'truth'"
    (strange,) = mistakes(tmp_path, FACTS.replace("aliases", "alias"), "")
    assert strange.startswith("mine.csv:1: unknown column 'alias' (did you mean 'aliases'?)")
    (none,) = mistakes(tmp_path, FACTS.splitlines()[0] + "\n", "")
    assert none == "mine.csv:1: has no facts"
    (empty,) = mistakes(tmp_path, "", "")
    assert empty == "mine.csv:1: has no facts"


def test_all_mistakes_are_reported_at_once_by_line(tmp_path: Path) -> None:
    planted = (
        "capital,Ecuador,Mexico City,,,\ncapital,Peru,Quito,,,\ncapital,Mexico,Mexico City,,,\n"
    )
    found = mistakes(tmp_path, FACTS + planted, FORMS + "capital,user,?\n")
    places = [mistake.split(": ")[0] for mistake in found]
    assert places == ["mine.csv:8", "mine.csv:9", "mine.forms.csv:13"]
