"""What the README says of the tests is what CI does."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_ci_runs_the_test_line_of_the_readme() -> None:
    *_, line = (ROOT / ".ci" / "run").read_text().splitlines()
    assert line.startswith("python3 -m venv") and "pytest --durations=10" in line
    assert f"```bash\n{line}\n```" in (ROOT / "README.md").read_text()
