"""Whether something of a twin waits for the loop: readings, single values long enough, machines that fell silent."""

from datetime import datetime, timedelta

from foretwin.contract.twin import Twin
from foretwin.twin.ingest.single_values.settling import wait_of
from foretwin.twin.store.assets import quarter_of
from foretwin.twin.store.ownership.twins_with_work import TwinsWithWork


def is_due(work: TwinsWithWork, policy: Twin, now: datetime) -> bool:
    """Whether a pass has to go through a twin of this contract, in whatever partition."""
    name, seconds, silence = policy.name, policy.clock.seconds, policy.longest_silence
    if name in work.news:
        return True
    waits, heard = work.waiting.get(name), work.heard.get(name)
    if waits is not None and seconds is not None and waits <= now - timedelta(seconds=wait_of(policy) * seconds):
        return True
    return heard is not None and silence is not None and heard <= quarter_of(now - silence)
