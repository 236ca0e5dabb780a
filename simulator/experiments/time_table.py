"""The time that a run takes on this machine: its work, divided by a measured speed."""

from rich.table import Table

from simulator.config.scenario import Scenario
from simulator.experiments.dry_run import is_tried
from simulator.experiments.speed import READ, ROWS, Speed, measured_speed
from simulator.models.folder import has_weights, local_folder
from simulator.runtime.observers import duration
from simulator.runtime.plan import Plan, Work, is_here
from simulator.runtime.probe_context import context_of
from simulator.simulation.config import ASSISTANT


def time_table(scenario: Scenario) -> Table | str:
    """Return the time that a run takes on this machine, or why it isn't known.

    An assistant in this process works for some seconds; see `measured_speed`. Neither endpoints nor
    servers are asked: that costs money, or a start of minutes. Empty where a trial tells it.
    """
    if is_tried(scenario):
        return ""  # its trial tells the time, too
    if not is_here(scenario, ASSISTANT):
        return "No time is estimated: the assistant's speed is that of its server or endpoint."
    if not _is_local(scenario):
        return "No time is estimated: the assistant's model isn't on this machine yet."
    plan = Plan(scenario, context_of(scenario, scenario.world))
    speed = measured_speed(scenario, plan)
    table = Table(
        title=f"{scenario.name}: time on this machine, about",
        caption=_assumptions(scenario, speed),
        title_justify="left",
        caption_justify="left",
    )
    for heading in ("what", "times", "requests", "read", "written", "learned", "time"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    rows = [
        *([("beliefs before any update", plan.beliefs, 1)] if plan.beliefs.requests else []),
        ("probes", plan.probes, len(scenario.measured_rounds)),
        ("conversations", plan.conversations, scenario.loop_rounds),
    ]
    updates = [plan.update(n + 1) for n in range(scenario.last_round)]
    rows.append(("updates", sum(updates, Work()), 1))
    total = 0.0
    for what, work, times in rows:
        whole = work.times(times)
        seconds = speed.seconds_for(whole)
        total += seconds
        counts = (whole.requests, round(whole.read), round(whole.written), round(whole.learned))
        count = times if what != "updates" else sum(u.learned > 0 for u in updates)
        table.add_row(what, f"{count:,}", *(f"{n:,}" for n in counts), duration(seconds))
    table.add_section()
    table.add_row("all, start-up aside", *[""] * 5, duration(total))
    return table


def _is_local(scenario: Scenario) -> bool:
    """Return whether the assistant's weights are in a folder here."""
    folder = local_folder(scenario.assistant_ref)
    return folder is not None and has_weights(folder)


def _assumptions(scenario: Scenario, speed: Speed) -> str:
    """Return what was measured, and what is assumed."""
    learning = f", an update at {speed.learning:,.0f}" if speed.learning else ""
    elsewhere = [role for role in sorted(scenario.asked_roles) if not is_here(scenario, role)]
    away = f" Without the time of {', '.join(elsewhere)}." if elsewhere else ""
    return (
        f"Measured in {speed.seconds:.0f} s: {READ} of the run's prompts at {speed.reading:,.0f} "
        f"tokens/s, {ROWS} replies at once at {speed.writing:,.0f}{learning}.\n"
        f"Replies are taken to be as long as they may be (in conversations "
        f"{scenario.conversations.max_new_tokens} tokens), talks as well, and ratings as chance, "
        f"so that many runs take less.{away}"
    )
