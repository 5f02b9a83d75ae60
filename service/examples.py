"""What the documentation shows of each answer: its own class, filled in, so that no key is missing or left over."""

from pydantic import BaseModel

from service.image import ImageDeleted, ImageJob, ImageList, image_job_of, image_of, images_of
from service.routes.estimates import ImageEstimate, VideoEstimate
from service.routes.health import Check, Health, Readiness
from service.routes.models import Evaluated, Expected, Model, ModelList, SfRange
from service.routes.usage import AccountUsage, DayUsage, ModelUsage
from service.routes.webhooks import DeliveryList, NewSecret, Secret, SecretDeleted, SecretList, WebhookDelivery
from service.status import JobStatus, QueueStatus, SystemStatus, WorkerStatus
from service.video import VideoDeleted, VideoList, VideosCancelled, video_of
from workers.jobs.artifact import Artifact, StoredFile
from workers.jobs.job import Account, Basis, GenerationRequest, Job, JobError, JobState, Priority, RunReport
from workers.jobs.usage import TenantLoad, Usage
from workers.models.basis import Measured
from workers.models.entry import Defaults, Limits
from workers.models.evaluation import Estimate
from workers.scalingcache.budget import full_steps

VIDEO_ID = "video_wan-tiny_91d2c5d5a1f84b6c8f0f6e3d2b7a9c10"
IMAGE_ID = "image_flux-tiny_5f0c3b8e7d2a4c6f9e1d8b7a6c5f4e3d"
SECRET_ID = "0f8b3d5a9c7e1f24"
DELIVERY_ID = "msg_wan-tiny_5f0c3b8e7d2a4c6f9e1d8b7a6c5f4e3d"
_DECISIONS = "FFFFPFPPFPPFPPPFPPPFPPPFPPPFPPPFPPPFPPPFPPPFPFPFPF"
_CREATED = 1795669200
_OTHER_ID = "video_wan-tiny_3b8e7d2a4c6f9e1d8b7a6c5f4e3d5f0c"

_REQUEST = GenerationRequest(
    model="wan-tiny",
    prompt="a red circle moving to the right on a black background",
    width=96,
    height=96,
    frames=33,
    fps=16,
    steps=50,
    sf=10,
    guidance=5.0,
    flow_shift=1.0,
    seed=7,
)
_QUEUED = Job(
    id=VIDEO_ID,
    tenant="acme",
    priority=Priority.NORMAL,
    request=_REQUEST,
    metadata={"team": "ads"},
    state=JobState.QUEUED,
    created_at=_CREATED,
)
_REPORT = RunReport(
    steps=50,
    full_steps=18,
    cached_steps=32,
    decisions=_DECISIONS,
    engaged=True,
    reason=None,
    speedup_measured=2.71,
    speedup_estimated=2.78,
    full_step_seconds=0.21,
    predicted_step_seconds=0.002,
    cache_bytes=1_228_800,
    timings={"encode_prompt": 0.02, "denoise": 3.87, "decode": 0.31, "encode_video": 0.05, "store": 0.004},
    account=Account(method="covariance", basis=Basis(kind="measured", runs=8, plan="tried"), expected_snr=31.4),
)
_FILE = StoredFile(path="", media_type="image/webp", size_bytes=2048, sha256="0" * 64)
_ARTIFACT = Artifact(**_FILE.model_dump(), previews={"thumbnail": _FILE, "spritesheet": _FILE})
_STARTED = _QUEUED.model_copy(update={"started_at": _CREATED + 2.5, "attempts": 1, "worker": "worker-1"})
_ENDED = _STARTED.model_copy(update={"completed_at": _CREATED + 7.0, "expires_at": _CREATED + 86_407.0, "step": 50})
_COMPLETED = _ENDED.model_copy(update={"state": JobState.COMPLETED, "report": _REPORT, "artifact": _ARTIFACT})
_FAILED = _ENDED.model_copy(
    update={
        "state": JobState.FAILED,
        "error": JobError(code="out_of_memory", message="the model ran out of memory at 96x96, 33 frames"),
    }
)
_IMAGE = _COMPLETED.model_copy(
    update={
        "id": IMAGE_ID,
        "request": _REQUEST.model_copy(update={"model": "flux-tiny", "frames": 1}),
        "artifact": Artifact(**_FILE.model_dump(), previews={"thumbnail": _FILE}),
    }
)

_QUEUED_VIDEO = video_of(_QUEUED, queue_position=3)
_COMPLETED_VIDEO = video_of(_COMPLETED, queue_position=None)
_IMAGE_JOB = image_job_of(video_of(_IMAGE, queue_position=None))
_SECRET = Secret(id=SECRET_ID, created_at=_CREATED)
_DELIVERY = WebhookDelivery(
    id=DELIVERY_ID,
    type="video.completed",
    data={"id": VIDEO_ID},
    url="https://backend.example.com/hooks",
    state="delivered",
    attempts=1,
    created_at=_CREATED + 7,
    last_attempt_at=_CREATED + 7,
    next_attempt_at=None,
    status=204,
    error=None,
    seconds=0.12,
)
_EXPECTED = Expected(
    sf=10,
    full_steps=18.0,
    speedup=Estimate(mean=2.72, low=2.66, high=2.78),
    psnr=Estimate(mean=38.1, low=36.9, high=39.4),
    ssim=Estimate(mean=0.981, low=0.977, high=0.985),
    lpips=None,
)
_MODEL = Model(
    id="wan-tiny",
    created=_CREATED,
    owned_by="scalingcache-serve",
    family="wan",
    media="video",
    defaults=Defaults(
        width=96, height=96, frames=33, fps=16, steps=50, sf=10, guidance=5.0, flow_shift=1.0, max_sequence_length=64
    ),
    limits=Limits(max_width=128, max_height=128, max_frames=49, max_steps=100),
    size_multiple=16,
    frame_multiple=4,
    input_reference="none",
    method="covariance",
    sf=SfRange(minimum=2, maximum=100, default=10, full_steps={sf: full_steps(sf, 50) for sf in (6, 10, 14, 50)}),
    rests_on=[
        Measured(
            method="covariance",
            runs=8,
            steps=50,
            size_class=18,
            guidance=True,
            input_reference=False,
            flow_shift=None,
            plan="tried",
            date="2026-11-20",
        )
    ],
    expected=Evaluated(
        steps=50, size="96x96", frames=33, input_reference=False, prompts=16, date="2026-11-20", sf=[_EXPECTED]
    ),
    live_workers=1,
)
_ESTIMATE = VideoEstimate(
    model="wan-tiny",
    size="96x96",
    frames=33,
    steps=50,
    sf=10,
    full_steps=18,
    cached_steps=32,
    decisions=_DECISIONS,
    run_seconds=4.3,
    measured_jobs=20,
    measured_at_this_size=True,
    queue_position=3,
    queued_seconds=12.9,
    eta_seconds=17.2,
    eta_reason=None,
    live_workers=1,
    expected_snr=31.4,
    prompt_tokens=12,
    prompt_token_limit=64,
    evaluated=_EXPECTED,
)
_USED = Usage(submitted=44, completed=40, full_steps=720, cached_steps=1280, device_seconds=173.25)
_STATUS = SystemStatus(
    persisting=True,
    workers=[
        WorkerStatus(
            name="worker-1",
            state="busy",
            models=["wan-tiny"],
            serves={"wan-tiny": "float32 on cpu"},
            heartbeat_age_seconds=0.8,
            job=VIDEO_ID,
            doing=None,
            problem=None,
        )
    ],
    queues=[QueueStatus(model="wan-tiny", workers=1, queued=3, running=1, oldest_seconds=12.4)],
    running=[
        JobStatus(
            id=VIDEO_ID,
            state="running",
            worker="worker-1",
            stage="denoise",
            step=21,
            steps=50,
            sf=10,
            attempts=1,
            seconds=2.2,
        )
    ],
    failures=[],
    accounts=[TenantLoad(tenant="acme", queued=3, running=1, used=_USED)],
)
_USAGE = AccountUsage(
    account="acme",
    start_time=1793145600,
    end_time=_CREATED,
    total=_USED,
    models=[ModelUsage(model="wan-tiny", **dict(_USED))],
    days=[DayUsage(date="2026-11-26", **dict(_USED))],
)
_NOT_READY = Check(ok=False, detail="0 live workers accept jobs for wan-tiny")
_READY = Check(ok=True, detail="1 live workers accept jobs for wan-tiny")
_PNG = "iVBORw0KGgoAAAANSUhEUg..."

#: Of each class that a call answers with: its examples by name, the first one the usual one.
EXAMPLES: dict[type[BaseModel], dict[str, BaseModel]] = {
    type(_QUEUED_VIDEO): {
        "queued": _QUEUED_VIDEO,
        "completed": _COMPLETED_VIDEO,
        "failed": video_of(_FAILED, queue_position=None),
    },
    VideoList: {
        "page": VideoList(
            data=[_QUEUED_VIDEO, _COMPLETED_VIDEO.model_copy(update={"id": _OTHER_ID})],
            first_id=VIDEO_ID,
            last_id=_OTHER_ID,
            has_more=False,
        )
    },
    ImageDeleted: {"deleted": ImageDeleted(id=IMAGE_ID)},
    VideoDeleted: {"deleted": VideoDeleted(id=VIDEO_ID)},
    VideosCancelled: {
        "cancelled": VideosCancelled(cancelled=[VIDEO_ID], ended=[_OTHER_ID], not_found=[], has_more=False)
    },
    VideoEstimate: {"estimate": _ESTIMATE},
    ImageJob: {"completed": _IMAGE_JOB},
    ImageList: {"page": ImageList(data=[_IMAGE_JOB], first_id=IMAGE_ID, last_id=IMAGE_ID, has_more=False)},
    ImageEstimate: {
        "estimate": ImageEstimate(**_ESTIMATE.model_dump(exclude={"object", "frames", "model"}), model="flux-tiny")
    },
    type(images_of([_IMAGE], [])): {"image": images_of([_IMAGE], [image_of(_IMAGE, b64_json=_PNG)])},
    NewSecret: {"made": NewSecret(id=SECRET_ID, created_at=_CREATED, secret="whsec_c2VjcmV0IG9mIHRoZSBleGFtcGxl")},
    SecretList: {"secrets": SecretList(data=[_SECRET])},
    SecretDeleted: {"deleted": SecretDeleted(id=SECRET_ID)},
    WebhookDelivery: {"delivered": _DELIVERY},
    DeliveryList: {"page": DeliveryList(data=[_DELIVERY], first_id=DELIVERY_ID, last_id=DELIVERY_ID, has_more=False)},
    Model: {"model": _MODEL},
    ModelList: {"models": ModelList(data=[_MODEL])},
    SystemStatus: {"status": _STATUS},
    AccountUsage: {"usage": _USAGE},
    Health: {"ok": Health()},
    Readiness: {
        "ready": Readiness(ready=True, checks={"worker:wan-tiny": _READY}),
        "not_ready": Readiness(ready=False, checks={"worker:wan-tiny": _NOT_READY}),
    },
}

#: Of a path's parameters.
PARAMETERS: dict[str, str | int] = {
    "video_id": VIDEO_ID,
    "image_id": IMAGE_ID,
    "model_id": "wan-tiny",
    "secret_id": SECRET_ID,
    "delivery_id": DELIVERY_ID,
}
