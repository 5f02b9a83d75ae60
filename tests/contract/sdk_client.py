"""What a backend does with the OpenAI SDK, whichever version is found first: `python sdk_client.py URL KEY < webhook`.

Standard input is a message that a receiver got: its body, its headers, and the secret that it was signed with.
"""

import json
import sys
import warnings

import openai


def run(url: str, key: str) -> None:
    """Every call of the videos that the SDK has."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key)
    made = client.videos.create(prompt="a red circle", extra_body={"sf": 4, "seed": 7})
    assert made.status in ("queued", "in_progress"), made.status
    video = client.videos.poll(made.id, poll_interval_ms=50)
    assert (video.status, video.progress, video.error) == ("completed", 100, None), video
    assert video.sf == 4  # type: ignore[attr-defined]
    assert client.videos.retrieve(made.id).id == made.id
    assert client.videos.download_content(made.id).read()[4:8] == b"ftyp"
    remix = client.videos.remix(made.id, prompt="a blue circle")
    assert remix.remixed_from_video_id == made.id
    listed = [each.id for each in client.videos.list(limit=1)]
    assert listed.index(remix.id) < listed.index(made.id), "pages of one, the newest first"
    for video_id in (remix.id, made.id):
        assert client.videos.delete(video_id).deleted
    for status, call in (
        (404, lambda: client.videos.retrieve(made.id)),
        (400, lambda: client.videos.create(prompt="a red circle", extra_body={"sf": 1})),
        (401, lambda: client.with_options(api_key="wrong").videos.retrieve(made.id)),
    ):
        try:
            call()
        except openai.APIStatusError as error:
            assert error.status_code == status and error.code and error.request_id
        else:
            raise AssertionError(f"that should have been a {status}")
    message = json.load(sys.stdin)
    event = client.webhooks.unwrap(message["body"], message["headers"], secret=message["secret"])
    assert event.type.startswith("video."), event
    try:
        client.webhooks.unwrap(message["body"] + " ", message["headers"], secret=message["secret"])
    except openai.InvalidWebhookSignatureError:
        return
    raise AssertionError("a message was changed and taken")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    run(*sys.argv[1:])
    sys.stdout.write(openai.__version__)
