"""The report's sections on the models of roles: roles, vetoes and failures."""

from collections.abc import Hashable
from typing import Any

import pandas as pd

from analysis.metrics import is_unread
from analysis.run import frames, transcripts
from analysis.run.roles import scales
from analysis.run.summary import screening_rows
from simulator.store.run import Run

VETOED, ANSWERED = 4, 8  # replies shown
Record = dict[Hashable, Any]


def models_content(run: Run, estimates: pd.DataFrame) -> dict[str, Any]:
    """Return the values for the template `models.html.jinja` and the page's judged parts."""
    found, spent = scales(run), frames.costs(run)
    return {
        "roles": _roles(run),
        "spent": float(spent["cost"].sum()) if len(spent) else None,
        "counts": _counts(run, estimates),
        "monitors": _monitors(run),
        "vetoed": transcripts.vetoed(run, VETOED).to_dict("records"),
        "screening": screening_rows(run),
        "scales": list(found.values()),
        "judges": list(dict.fromkeys(scale.judge for scale in found.values())),
        "judged_pairs": transcripts.judged_pairs(run, ANSWERED).to_dict("records"),
        "in_situations": frames.in_situations(run),
    }


def _roles(run: Run) -> list[Record]:
    """Return the roles, the assistant first; none where no role has a model."""
    played = frames.roles(run).to_dict("records")
    assistant: Record = {
        "role": "assistant",
        "model": run.scenario["model"],
        "backend": run.scenario["backend"]["kind"],
        "requests": None,
        "tokens": None,
    }
    return [assistant, *played] if played else []


def _counts(run: Run, estimates: pd.DataFrame) -> list[Record]:
    """Return one row per round: its counts, and its unreadable judgements."""
    rows = estimates[estimates["metric"].map(is_unread).astype(bool)]
    unread = (rows["value"] * rows["n"]).groupby(rows["round"]).sum()
    counts = pd.DataFrame({"unread": unread, "judged": rows.groupby("round")["n"].sum()})
    both = frames.conversation_counts(run).set_index("round").join(counts, how="outer")
    return both.reset_index(names="round").astype(object).to_dict("records")


def _monitors(run: Run) -> list[dict[str, Any]]:
    """Return the vetoes of each monitor, with its reasons and their counts."""
    rows = frames.vetoes(run)
    return [
        {
            "name": name,
            "asked": len(said),
            "vetoed": int(said["vetoed"].sum()),
            "unread": int(said["score"].isna().sum()),
            "reasons": said.loc[said["vetoed"].astype(bool), "reason"].value_counts().to_dict(),
        }
        for name, said in rows.groupby("monitor", sort=False)
    ]
