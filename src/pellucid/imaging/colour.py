"""Conversion to sRGB, where a picture's own colour space cannot be kept."""

import io

from PIL import Image, ImageCms

from pellucid.errors import ImageError


def to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """A Pillow image in sRGB: CMYK, LAB, or L and RGB with a profile; L stays L.

    By relative colorimetry with black point compensation, as image editors do. CMYK without a
    profile, or with one that does not fit, goes by Pillow's formula (each of C, M and Y subtracted
    from white, K multiplied in).
    """
    mode = "L" if image.mode == "L" else "RGB"
    try:
        if image.mode == "LAB":
            source = ImageCms.createProfile("LAB")
        elif icc:
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        else:
            return image.convert(mode)
        converted = ImageCms.profileToProfile(
            image,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        assert converted is not None  # None only where it converts in place
        return converted.convert(mode)
    except (ImageCms.PyCMSError, OSError) as error:
        if image.mode == "LAB":
            raise ImageError(f"colours cannot be converted to sRGB ({error})") from error
        return image.convert(mode)
