"""How long state machines are driven."""

from hypothesis import settings


def sized(max_examples: int, steps: int) -> settings:
    """Return settings for so many examples of so many steps, unless it is the long run."""
    if settings.get_current_profile_name() == "machines":
        return settings()
    return settings(max_examples=max_examples, stateful_step_count=steps)
