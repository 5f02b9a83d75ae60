"""Which settings of a request did nothing, told the same wherever a run is shown."""

from workers.jobs.job import GenerationRequest, ReasonCode, RunReport


def idle_settings(request: GenerationRequest, report: RunReport) -> dict[str, str]:
    """By name, with the reason: what the run has found, and what of the acceleration was not in force."""
    idle = dict(report.no_effect)
    if request.wants_acceleration and not report.engaged:
        idle["sf"] = f"nothing was predicted: {report.reason or 'no step was due'}"
    if request.allow_uncalibrated and not (report.reason and report.reason.code is ReasonCode.UNCALIBRATED):
        idle["allow_uncalibrated"] = "it was accelerated without" if report.engaged else "nothing was predicted"
    if request.basis_runs is not None and not (report.account and report.account.basis):
        idle["basis_runs"] = "predictions rested on no measured runs" if report.engaged else "nothing was predicted"
    return idle
