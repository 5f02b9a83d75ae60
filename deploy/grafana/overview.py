"""Overview: is it healthy, how long is the queue, how fast are we, what did caching save."""

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.board import Panels, board, with_rows
from deploy.grafana.panels import GOOD_IS_ONE, GOOD_IS_ZERO, NEUTRAL, curves, tile, up_tile

_M = 'model=~"$model"'
_R = "[$__rate_interval]"


def build() -> dashboard.Dashboard:
    """The page with its rows and panels."""
    page = board("scalingcache-overview", "ScalingCache: Overview", "Health, queue, speed, and what caching saved.")
    return with_rows(
        page,
        (
            ("Is it healthy?", _health()),
            ("How long is the queue?", _queue()),
            ("How fast are we?", _speed()),
            ("What did caching save?", _saved()),
            ("Who uses it?", _accounts()),
            ("Do webhooks arrive?", _webhooks()),
        ),
    )


def _health() -> Panels:
    return [
        up_tile(
            "Service", "Whether every instance of the HTTP service is scraped.", 'min(up{job="service"}) or vector(0)'
        ),
        up_tile("Redis", "Whether the service reaches Redis.", "min(scalingcache_queue_up) or vector(0)"),
        tile(
            "Workers that take jobs",
            "Workers whose models are loaded, idle or busy.",
            'count(scalingcache_worker_state{state=~"idle|busy"} == 1) or vector(0)',
            "none",
            GOOD_IS_ONE,
        ),
        tile(
            "Alerts",
            "Alerts that fire now; the runbook says what to do about each.",
            'count(ALERTS{alertstate="firing"}) or vector(0)',
            "none",
            GOOD_IS_ZERO,
        ),
        tile(
            "Jobs that failed",
            "Jobs that ended failed or dead in the time range. Cancelled jobs do not count.",
            f'sum(increase(scalingcache_jobs_total{{outcome=~"failed|dead",{_M}}}[$__range])) or vector(0)',
            "none",
            GOOD_IS_ZERO,
        ),
        tile(
            "Space for results",
            "Free part of the file system that holds the results.",
            "min(scalingcache_storage_free_bytes / scalingcache_storage_size_bytes)",
            "percentunit",
            ((None, "red"), (0.1, "orange"), (0.2, "green")),
        ),
    ]


def _queue() -> Panels:
    return [
        curves(
            "Jobs in the queue",
            "Jobs that wait, and jobs that run, by model.",
            "none",
            (f"max by (model, state) (scalingcache_queue_jobs{{{_M}}})", "{{model}} {{state}}"),
        ),
        curves(
            "Age of the oldest waiting job",
            "How long the job that has waited longest has been waiting; 0 when none waits.",
            "s",
            (f"max by (model) (scalingcache_queue_oldest_age_seconds{{{_M}}})", "{{model}}"),
        ),
        curves(
            "Wait before the start",
            "From acceptance to the first start of a job.",
            "s",
            *_quantiles("scalingcache_job_wait_seconds", _M, "model", "{{model}}"),
        ),
    ]


def _speed() -> Panels:
    return [
        curves(
            "Jobs that ended",
            "Per minute, by how they ended. An attempt that is tried again counts as retried.",
            "cpm",
            (f"60 * sum by (outcome) (rate(scalingcache_jobs_total{{{_M}}}{_R}))", "{{outcome}}"),
            stacked=True,
        ),
        curves(
            "From request to result",
            "Completed jobs: from acceptance to the end, waiting included.",
            "s",
            *_quantiles("scalingcache_job_duration_seconds", f'outcome="completed",{_M}', "model", "{{model}}"),
        ),
        curves(
            "Where the time goes",
            "Mean time of a completed job in each stage.",
            "s",
            (
                f"sum by (stage) (rate(scalingcache_stage_seconds_sum{{{_M}}}{_R})) "
                f"/ (sum by (stage) (rate(scalingcache_stage_seconds_count{{{_M}}}{_R})) > 0)",
                "{{stage}}",
            ),
            stacked=True,
        ),
        curves(
            "HTTP requests",
            "By route and code.",
            "reqps",
            (f"sum by (route, code) (rate(scalingcache_http_requests_total{_R}))", "{{code}} {{route}}"),
            width=12,
        ),
        curves(
            "HTTP latency",
            "From a request's headers to the last byte of its answer; 95 of 100 requests are faster.",
            "s",
            (
                "histogram_quantile(0.95, sum by (le, route) "
                f"(rate(scalingcache_http_request_duration_seconds_bucket{_R})))",
                "95 % {{route}}",
            ),
            width=12,
        ),
    ]


def _webhooks() -> Panels:
    return [
        curves(
            "Attempts at webhooks",
            "Per minute, by outcome: delivered, to be retried, given up, or lost to another sender after a pause.",
            "cpm",
            (f"60 * sum by (outcome) (rate(scalingcache_webhook_attempts_total{_R}))", "{{outcome}}"),
            stacked=True,
        ),
        curves(
            "Time of an attempt",
            "From the name of a receiver to its answer, or to the end of our patience.",
            "s",
            *_quantiles("scalingcache_webhook_attempt_seconds", "", "job", ""),
        ),
        curves(
            "Webhooks to be delivered",
            "Messages that no receiver has taken yet, by model.",
            "none",
            (f"max by (model) (scalingcache_webhook_pending{{{_M}}})", "{{model}}"),
            ("sum(scalingcache_webhook_attempts_under_way)", "under way"),
        ),
        curves(
            "Age of webhooks",
            "Of the oldest message that no receiver has taken, and for how long one has been due that nobody sends.",
            "s",
            (f"max by (model) (scalingcache_webhook_oldest_age_seconds{{{_M}}})", "oldest {{model}}"),
            (f"max by (model) (scalingcache_webhook_overdue_seconds{{{_M}}})", "overdue {{model}}"),
        ),
    ]


def _accounts() -> Panels:
    return [
        curves(
            "Devices used, by account",
            "Seconds of a device per second, whatever became of the jobs.",
            "none",
            (f"sum by (account) (rate(scalingcache_account_device_seconds_total{{{_M}}}{_R}))", "{{account}}"),
        ),
        curves(
            "Jobs that ended, by account",
            "Jobs of each account by how they ended, in each interval.",
            "none",
            (
                f"sum by (account, outcome) (increase(scalingcache_account_jobs_total{{{_M}}}{_R}))",
                "{{account}} {{outcome}}",
            ),
        ),
        curves(
            "Steps, by account",
            "Of completed jobs, per second: full and predicted.",
            "none",
            (f"sum by (account, kind) (rate(scalingcache_account_steps_total{{{_M}}}{_R}))", "{{account}} {{kind}}"),
        ),
        curves(
            "Work that was not needed",
            "Jobs that shared the computation of an identical one, those whose prompt was already encoded, and queued "
            "ones whose deadline passed.",
            "none",
            (f"sum(increase(scalingcache_jobs_shared_total{{{_M}}}{_R}))", "shared"),
            (f"sum(increase(scalingcache_prompts_reused_total{{{_M}}}{_R}))", "prompt reused"),
            (f"sum(increase(scalingcache_queued_jobs_expired_total{{{_M}}}{_R}))", "expired in the queue"),
        ),
        curves(
            "Event streams",
            "Streams that are open, of all instances of the service, and how often in each interval a client was too "
            "slow for its own.",
            "none",
            ("sum(scalingcache_event_streams)", "open"),
            (f"sum(increase(scalingcache_event_streams_behind_total{_R}))", "too slow"),
        ),
    ]


def _saved() -> Panels:
    full_and_predicted = f"sum(increase(scalingcache_steps_total{{{_M}}}[$__range]))"
    predicted = f'sum(increase(scalingcache_steps_total{{kind="predicted",{_M}}}[$__range]))'
    measured = f'scalingcache_speedup_ratio_{{}}{{{{kind="measured",{_M}}}}}[$__range]'
    return [
        tile(
            "GPU time saved",
            "What the predicted steps would have cost as full steps, less what they did cost, in the time range. "
            "On a CPU worker: its time.",
            f"sum(increase(scalingcache_device_seconds_saved_total{{{_M}}}[$__range])) or vector(0)",
            "s",
            NEUTRAL,
        ),
        tile(
            "GPU time spent on steps",
            "Time of all denoising steps, full and predicted, in the time range.",
            f"sum(increase(scalingcache_step_seconds_sum{{{_M}}}[$__range])) or vector(0)",
            "s",
            NEUTRAL,
        ),
        tile(
            "Steps from the cache",
            "Predicted steps over all steps, in the time range.",
            f"{predicted} / ({full_and_predicted} > 0)",
            "percentunit",
            NEUTRAL,
        ),
        tile(
            "Speedup",
            "Mean measured speedup of completed jobs in the time range, uncached jobs included as 1.",
            f"sum(increase({measured.format('sum')})) / (sum(increase({measured.format('count')})) > 0)",
            "suffix:×",
            NEUTRAL,
        ),
        curves(
            "GPU time saved, by model",
            "Seconds saved per second: 1 is one whole device that was not needed.",
            "none",
            (f"sum by (model) (rate(scalingcache_device_seconds_saved_total{{{_M}}}{_R}))", "{{model}}"),
        ),
    ]


def _quantiles(histogram: str, selector: str, by: str, legend: str) -> list[tuple[str, str]]:
    rates = f"sum by (le, {by}) (rate({histogram}_bucket{{{selector}}}{_R}))"
    return [(f"histogram_quantile({q / 100:g}, {rates})", f"{q} % {legend}") for q in (50, 95)]
