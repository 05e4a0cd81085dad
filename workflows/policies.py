"""Retry, timeouts, task queue and concurrency: the only place for these numbers."""

from __future__ import annotations

from datetime import timedelta

from temporalio.common import RetryPolicy, VersioningBehavior

TASK_QUEUE = "video"
"""Where the workers listen, unless `TASK_QUEUE` in the environment says otherwise."""

MAX_CONCURRENT_ACTIVITIES = 3
"""Activities at once in one worker."""

RETRY_POLICY = RetryPolicy(
    initial_interval=timedelta(seconds=10),
    backoff_coefficient=2.0,
    maximum_attempts=3,
    non_retryable_error_types=["ApplicationFailure"],
)
"""Three attempts: the first, one after 10 s, one after another 20 s. There is no fourth."""

MAX_WORKER_LOSSES = 5
"""How often an activity whose last attempt was lost with its worker is scheduled again.

The three attempts are meant for the API: they end as well when workers die one after the other,
which says nothing about the step. After 18 lost attempts it may be the step that kills them.
"""

LONGEST_RETRY_DELAY = timedelta(minutes=5)
"""The longest wait that a provider may ask for between two attempts. A longer one, such as until a
day's quota is back, is the workflow's to wait for: attempts are not for that.
"""

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=15)
"""What a workflow waits, doubled each time, before a step whose three attempts were used up by an
outage is tried again.
"""

LONGEST_SPREAD = timedelta(minutes=5)
"""The most random time added to such a wait, which is up to a tenth: not all come back at once."""

LONGEST_OUTAGE = timedelta(hours=26)
"""How long a step is tried again like this in all. A day's quota comes back within it, and a video
is still there: the provider keeps it for two days.
"""

START_TO_CLOSE_TIMEOUT = timedelta(minutes=30)
SCHEDULE_TO_CLOSE_TIMEOUT = timedelta(hours=1)

HEARTBEAT_INTERVAL = timedelta(seconds=1)
"""How often an activity says that it lives, and the most that the worker holds back.

The SDK's own throttle is 0.8 of the timeout, which would leave a server that comes back from
an outage only 0.2 of the timeout to hear the next heartbeat.
"""

HEARTBEAT_TIMEOUT = timedelta(seconds=30)
"""How long a silent attempt counts as alive.

Long enough that a running attempt outlives a server outage of 20 s: the last heartbeat before it
is at most 1 s old, and a worker whose server is back may take 5 s to try again. A shorter one would
start work again whose worker is alive. It is the safety net only: a worker that dies in a fleet is
failed over within milliseconds (`workflows.fleet`), and without any heartbeat a death would be
noticed after the 30 min of the start-to-close timeout.
"""

KEEPALIVE_INTERVAL = timedelta(seconds=12)
KEEPALIVE_TIMEOUT = timedelta(seconds=8)
"""How long the connection to Temporal may be silent before it is probed, and then a probe without
an answer before it is given up for a new one.

A machine or gateway that disappears does not close its connections, and what is sent into one is
lost. Together with a new try, which may take 5 s, both must come to less than the heartbeat
timeout, or the server starts work again whose worker is alive: the SDK's own 30 s and 15 s do not.
Not more often than every 10 s (`frontend.keepAliveMinTime`): the server closes a connection that
probes more often (`too_many_pings`), and an unstable network makes a probe come early. Not a
shorter timeout: on a slow network the answer waits behind other data.
"""

CONNECT_PATIENCE = timedelta(seconds=60)
"""How long a worker or a supervisor waits at its start for a Temporal that is not up yet.

Whatever starts them together, such as a machine after a reboot, needs no order then: a server is up
within half a minute. Not longer: a wrong address should be told while somebody is looking.
"""

CONNECT_RETRY_INTERVAL = timedelta(seconds=1)

STICKY_QUEUE_TIMEOUT = timedelta(seconds=2)
"""How long a workflow task waits for the worker that has the workflow in its cache.

After a kill nobody answers there, so this wait is added to the recovery (10 s by default);
a living worker answers within milliseconds, and a missed one costs only a replay.
"""

GRACEFUL_SHUTDOWN_TIMEOUT = timedelta(seconds=25)
"""How long a worker that was told to stop may finish what it has in flight.

Longer than an image or the start of a video takes, so that neither is paid for and dropped;
shorter than the 30 s after which most supervisors send SIGKILL.
"""

VIDEO_DEADLINE = timedelta(hours=1)
"""How long a started video may be awaited in all, over every hand-over between workers.

The default of `VIDEO_DEADLINE_SECONDS`.
"""

LONGEST_WAIT = timedelta(minutes=25)
"""How long one attempt awaits a video before it hands the wait over by itself.

Shorter than start-to-close, which would count the attempt as failed although nothing had.
"""

LONGEST_POLL_PAUSE = timedelta(minutes=1)
"""Between two polls while they fail: first twice the usual pause, then twice as long each time."""

IMAGE_DEADLINE_SECONDS = 90.0
VIDEO_START_DEADLINE_SECONDS = 60.0
POLL_DEADLINE_SECONDS = 30.0
DOWNLOAD_DEADLINE_SECONDS = 300.0
"""Total times of one API call. The client's own timeout is per read, and off by default.

The first two are defaults of `IMAGE_DEADLINE_SECONDS` and `VIDEO_START_DEADLINE_SECONDS`: until
then a call without an outcome may still get one, so it is left alone for that long.
"""

JOURNAL_GRACE_SECONDS = 5.0
"""How long after its deadline a paid call's reply may still be on its way to the journal."""

SHORTEST_WAIT = timedelta(seconds=1)
"""Before an open call is looked at again, whatever the clocks of journal and server say."""

STORE_PATIENCE = timedelta(minutes=10)
"""How long a reply that was paid for waits for room on a disk or for its journal.

Well within the start-to-close timeout, which would drop it.
"""

STORE_RETRY_INTERVAL = timedelta(seconds=1)

FREE_BYTES = 16 * 1024 * 1024
"""Free room that the artifacts' disk must have before anything is paid for."""

SINGLE_VIDEO_VERSIONING = VersioningBehavior.PINNED
"""Under Worker Versioning a single video ends on the build that began it.

It takes minutes, so the old build's workers are soon without work and can be stopped, and no change
of the workflows or of what is paid for meets an operation halfway. One that waits longer, for an
outage (`LONGEST_OUTAGE`) or for a decision, keeps them until then, or is moved by an operator.
"""

SERIES_VIDEO_VERSIONING = VersioningBehavior.AUTO_UPGRADE
"""Under Worker Versioning a series goes on under the current build from its next task on.

It takes up to `MAX_SERIES_VIDEOS` videos, which is days: pinned, it would keep old workers for as
long, and a correction of what is paid for would not reach its remaining videos. So a change of its
workflow goes behind `workflow.patched`, as it must where versioning is off.
"""

MAX_SERIES_VIDEOS = 1_000
"""Videos in one series: its checkpoints and prompts must fit into one payload of 2 MB."""

MAX_PROMPTS_BYTES = 1_000_000
"""Of all prompts of an operation, as JSON. They travel in one Temporal payload, which must stay
below 2 MB, and a long series adds the progress of all of its videos to it.
"""


def retry_interval(failed: int) -> timedelta:
    """The retry policy's own wait after so many failed attempts."""
    return RETRY_POLICY.initial_interval * RETRY_POLICY.backoff_coefficient ** (failed - 1)
