"""The image that a generation starts from, made safe and brought to size. Never imports torch."""

from io import BytesIO

from PIL import Image, ImageCms, ImageMath, ImageOps

from workers.jobs.errors import InvalidRequest
from workers.media.jpeg import scans

FORMATS = ("PNG", "JPEG", "WEBP")
MOST_PIXELS = 25_000_000
#: Encoders write some ten; each costs the decoder as much as the image is large.
MOST_SCANS = 100


def fitted(content: bytes, width: int, height: int) -> bytes:
    """The image as an sRGB PNG of `width` x `height` pixels, nothing else of the file left in it.

    Upright as its EXIF says, the middle cut out in the video's shape, then scaled (Lanczos). Of an animation the first
    frame; where it is transparent, white. Colours are converted by the file's own ICC profile, if it has one that can
    be read. Raises `InvalidRequest`.
    """
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:  # Reads the header alone.
            if image.width * image.height > MOST_PIXELS:
                raise _too_large(f"{image.width}x{image.height}")
            if image.format == "JPEG":
                if scans(content) > MOST_SCANS:
                    raise InvalidRequest("input_reference", f"input_reference has more than {MOST_SCANS} JPEG scans")
                # Decodes no more than is needed, in steps of a half.
                image.draft(None, (2 * max(width, height), 2 * max(width, height)))
            profile = image.info.get("icc_profile")
            upright = ImageOps.exif_transpose(_plain(image))
            picture = ImageOps.fit(upright, (width, height), Image.Resampling.LANCZOS)
    except InvalidRequest:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large("the image") from None
    except Exception:  # A broken file makes a decoder raise anything, in words that are not for clients.
        raise unreadable() from None
    file = BytesIO()
    _on_white(picture, profile).save(file, "PNG")
    return file.getvalue()


def _plain(image: Image.Image) -> Image.Image:
    """In a mode that can be scaled, its transparency as a channel. What a profile speaks of stays: CMYK, grey."""
    if image.mode == "I;16":
        return _eight_bit(image)
    if image.has_transparency_data:
        return image if image.mode in ("RGBA", "LA") else image.convert("RGBA")
    return image if image.mode in ("RGB", "L", "CMYK") else image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Of 16-bit grey, which Pillow cuts off where it should scale, and whose one transparent value it then forgets."""
    grey = image.point(lambda value: value / 256).convert("L")
    clear = image.info.get("transparency")
    if clear is None:
        return grey
    opaque = ImageMath.lambda_eval(lambda of: of["convert"]((of["grey"] != clear) * 255, "L"), grey=image.convert("I"))
    return Image.merge("LA", (grey, opaque))


def _on_white(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """In sRGB, without transparency, and with nothing of the file: Pillow would write a profile, of any size, again."""
    opaque = picture.getchannel("A") if picture.mode in ("RGBA", "LA") else None
    colours = picture.convert(picture.mode.removesuffix("A")) if opaque else picture
    rgb = _in_srgb(colours, profile)
    rgb.info.clear()
    if opaque is None:
        return rgb
    return Image.composite(rgb, Image.new("RGB", rgb.size, "white"), opaque)


def _in_srgb(colours: Image.Image, profile: bytes | None) -> Image.Image:
    if profile:
        try:
            own, srgb = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
            if converted := ImageCms.profileToProfile(colours, own, srgb, outputMode="RGB"):
                return converted
        except (ImageCms.PyCMSError, OSError):  # Broken, or of another kind of colours than the image has.
            pass
    return colours.convert("RGB")


def unreadable() -> InvalidRequest:
    """What no decoder can make an image of."""
    return InvalidRequest(
        "input_reference", "input_reference cannot be read; allowed: a complete PNG, JPEG or WebP file"
    )


def too_costly() -> InvalidRequest:
    """What takes a decoder longer, or more memory, than any image that is allowed."""
    return InvalidRequest("input_reference", "input_reference takes too long or too much memory to decode")


def _too_large(image: str) -> InvalidRequest:
    return InvalidRequest("input_reference", f"input_reference: {image} has more than the {MOST_PIXELS} pixels allowed")
