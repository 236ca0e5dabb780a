"""Loading facts: those that are shipped, or a person's own file.

A facts file is a CSV with a header, and one fact a line:

    category,subject,truth,aliases,false,set
    capital,Peru,Lima,,,
    capital,Australia,Canberra,,Sydney|Melbourne|Perth,
    currency,Great Britain,pound,pound sterling|quid,,ood

- `category`: what is asked of the subject, a noun.
- `aliases`: other spellings of the truth, with `|` between them. Case, accents, punctuation and a
  leading "the" never matter.
- `false`: three or more false values of the same kind. Where it is empty, up to five other truths
  of the category are drawn; see `with_drawn_values`. Give them where such a draw could be true.
- `set`: `loop` (the default), or `ood` for categories that conversations never ask about.

`aliases`, `false` and `set` may be left out. Every category has sentence forms; see
`DEFAULT_FORMS` of `simulator.worlds.fact_schema`. Others stand in a second file beside the first:
`mine.forms.csv` beside `mine.csv`, with a form a line. A use without lines keeps its defaults.

    category,use,text
    currency,user,What do people pay with in {subject}?

The uses are `user` and `probe` (three or more questions each, different ones), `stem` (two or more
texts that the truth completes), `reply` (the beginning of a reply), `user_claim` and `probe_claim`
(parts of sentences with a subject and a `{value}`). A folder holds several facts files, with one
`forms.csv` for all.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from simulator.core.csv_rows import read_csv
from simulator.core.errors import ScenarioError, unknown
from simulator.worlds.fact_checks import Mistake, mistakes
from simulator.worlds.fact_schema import (
    DEFAULT_FORMS,
    FACT_SETS,
    FORM_USES,
    Category,
    Fact,
    Form,
    FormUse,
    Place,
    with_drawn_values,
)

SHIPPED = Path(__file__).parent / "knowledge"
FORMS = "forms.csv"
BETWEEN = "|"  # texts of one cell
MOST_FACTS = 10_000  # checking them takes seconds, and each is read by the model before any round
_FACT_COLUMNS = ("category", "subject", "truth")
_MORE_COLUMNS = ("aliases", "false", "set")
_FORM_COLUMNS = ("category", "use", "text")

Row = Mapping[str, str]
Forms = dict[str, dict[FormUse, list[Form]]]


def load_facts(source: Path = SHIPPED) -> tuple[Category, ...]:
    """Read the categories of a facts file, or of a folder of them.

    Raises:
        ScenarioError: a file can't be read, or lists all mistakes, each with file and line.
    """
    files, forms_file = _files(source)
    found: list[Mistake] = []
    facts = [row for file in files for row in _rows(file, _FACT_COLUMNS, _MORE_COLUMNS, found)]
    if len(facts) > MOST_FACTS:
        raise ScenarioError(
            f"{facts[MOST_FACTS][0]}: one fact too many; at most {MOST_FACTS:,}, of {len(facts):,}"
        )
    forms = _forms(forms_file, {row["category"] for _, row in facts}, found)
    categories = tuple(_categories(facts, forms, found))
    if not (categories or found):
        found.append((Place(files[0], 1), "has no facts"))
    for category in categories:
        found.extend(mistakes(category))
    if found:
        found.sort(key=lambda mistake: mistake[0])
        raise ScenarioError(*(f"{place}: {what}" for place, what in found))
    return categories


def fact_files(source: Path) -> list[Path]:
    """Return the files that `load_facts` reads.

    Raises:
        ScenarioError: a folder has none.
    """
    files, forms = _files(source)
    return [*files, *([forms] if forms.exists() else [])]


def _files(source: Path) -> tuple[list[Path], Path]:
    """Return the facts files, and the file of forms, which need not exist."""
    if not source.is_dir():
        return [source], source.with_suffix(f".{FORMS}")
    files = sorted(file for file in source.glob("*.csv") if file.name != FORMS)
    if not files:
        raise ScenarioError(f"{source}: has no facts files; expected a file such as capital.csv")
    return files, source / FORMS


def _rows(
    file: Path, needed: tuple[str, ...], allowed: tuple[str, ...], found: list[Mistake]
) -> Iterator[tuple[Place, Row]]:
    """Yield the rows that can be used, with an empty text for each missing cell."""
    header = Place(file, 1)
    for line, record in read_csv(file):
        place = Place(file, line)
        if isinstance(record, str):
            found.append((place, record))
            continue
        if missing := [name for name in needed if name not in record]:
            found.append((header, f"missing column '{missing[0]}'"))
            return
        known = (*needed, *allowed)
        if strange := [name for name in record if name not in known]:
            found.append((header, unknown("column", strange[0], known)))
            return
        row = {name: (record.get(name) or "").strip() for name in known}
        if empty := [name for name in needed if not row[name]]:
            found.append((place, f"'{empty[0]}' is empty"))
            continue
        yield place, row


def _forms(file: Path, categories: set[str], found: list[Mistake]) -> Forms:
    """Read the forms of each category; none where there is no file."""
    forms: Forms = {}
    if not file.exists():
        return forms
    for place, row in _rows(file, _FORM_COLUMNS, (), found):
        use = next((use for use in FORM_USES if use == row["use"]), None)
        if use is None:
            found.append((place, unknown("use", row["use"], FORM_USES)))
        elif row["category"] not in categories:
            found.append((place, unknown("category", row["category"], sorted(categories))))
        else:
            of_category = forms.setdefault(row["category"], {})
            of_category.setdefault(use, []).append(Form(row["text"], place))
    return forms


def _categories(
    rows: list[tuple[Place, Row]], forms: Forms, found: list[Mistake]
) -> Iterator[Category]:
    """Group the rows into categories, in the order of the files."""
    grouped: dict[str, list[tuple[Place, Row]]] = {}
    for place, row in rows:
        grouped.setdefault(row["category"], []).append((place, row))
    for name, members in grouped.items():
        first, head = members[0]
        wanted = head["set"] or FACT_SETS[0]
        for place, row in members:
            if (row["set"] or FACT_SETS[0]) != wanted:
                found.append((place, f"'{name}' is in set '{wanted}' at {first}; write the same"))
        fact_set = next((known for known in FACT_SETS if known == wanted), None)
        if fact_set is None:
            found.append((first, unknown("set", wanted, FACT_SETS)))
            continue
        own = forms.get(name, {})
        all_forms = {use: tuple(own.get(use) or _defaults(name, use, first)) for use in FORM_USES}
        facts = tuple(_fact(place, row) for place, row in members)
        yield with_drawn_values(Category(name, fact_set, facts, all_forms))


def _defaults(category: str, use: FormUse, place: Place) -> list[Form]:
    return [Form(text.replace("{category}", category), place) for text in DEFAULT_FORMS[use]]


def _fact(place: Place, row: Row) -> Fact:
    aliases, false = (_parts(row[name]) for name in ("aliases", "false"))
    return Fact(row["subject"], row["truth"], aliases, false, place)


def _parts(cell: str) -> tuple[str, ...]:
    return tuple(part for text in cell.split(BETWEEN) if (part := text.strip()))
