"""Films that tests make: a textured picture that moves, with sound and subtitles if wanted."""

from fractions import Fraction

import av
import numpy as np

MILLISECOND = Fraction(1, 1000)


def texture(height, width, seed=0):
    """Smooth colours ``(height, width, 3)`` in [0.1, 0.9] that compression keeps well."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] / 16
    waves = [np.sin(a * rows + b * columns + c) for a, b, c in rng.uniform(0.2, 1.5, (3, 3))]
    return (0.5 + 0.4 * np.stack(waves, axis=2)).astype(np.float32)


def pictures(count=12, size=(64, 48), step=1, cut=None, seed=0):
    """A camera that moves over a texture; from frame ``cut`` on over its negative."""
    width, height = size
    wide = texture(height, width + step * count, seed)
    for i in range(count):
        picture = wide[:, i * step : i * step + width]
        yield picture if cut is None or i < cut else 1 - picture


def film(
    path,
    frames=None,
    codec="libx264",
    format="yuv420p",
    rate=10,
    times=None,
    sound=False,
    subtitles=None,
    rotation=0,
    options=None,
    **tags,
):
    """Write a film of pictures ``(h, w, 3)`` in [0, 1]; ``times`` are in milliseconds."""
    frames = list(pictures() if frames is None else frames)
    height, width = frames[0].shape[:2]
    lossless = {"crf": "4"} if codec in ("libx264", "libx265") else {}
    if codec == "libx265":
        lossless["x265-params"] = "log-level=none"
    with av.open(str(path), "w") as out:
        video = out.add_stream(codec, rate=rate, options=options or lossless)
        video.width, video.height, video.pix_fmt = width, height, format
        video.codec_context.time_base = video.time_base = MILLISECOND
        for name, value in tags.items():
            setattr(video.codec_context, name, value)
        if rotation:
            video.set_display_rotation(rotation)
        voice = out.add_stream("aac", rate=16000, layout="mono") if sound else None
        text = out.add_mux_stream(subtitles) if subtitles else None
        if voice:
            voice.metadata["language"] = "fra"
        out.metadata["title"] = "A walk"
        for i, picture in enumerate(frames):
            values = np.rint(picture * 65535).astype(np.uint16)
            frame = av.VideoFrame.from_ndarray(values, format="rgb48le").reformat(format=format)
            frame.pts = times[i] if times else i * 1000 // rate
            frame.time_base = MILLISECOND
            out.mux(video.encode(frame))
        out.mux(video.encode())
        if voice:
            _sing(out, voice, len(frames) / rate)
        if text:
            packet = av.Packet(b"\x00\x05Hello" if subtitles == "mov_text" else b"Hello")
            packet.stream, packet.time_base = text, MILLISECOND
            packet.pts = packet.dts = 200
            packet.duration = 500
            out.mux(packet)
    return path


def _sing(out, voice, seconds):
    time = np.arange(round(16000 * seconds)) / 16000
    wave = (np.sin(2 * np.pi * 440 * time) * 8000).astype(np.int16)
    for start in range(0, len(wave), 1024):
        frame = av.AudioFrame.from_ndarray(
            wave[None, start : start + 1024], format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts = 16000, start
        out.mux(voice.encode(frame))
    out.mux(voice.encode())


def times(path):
    """Times of the frames in milliseconds."""
    with av.open(str(path)) as film:
        return [round(1000 * frame.pts * frame.time_base) for frame in film.decode(video=0)]


def shown(path):
    """Frames as float arrays ``(h, w, 3)`` in [0, 1], converted by PyAV, not turned."""
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="rgb24") / 255 for frame in film.decode(video=0)]


def packets(path, kind):
    """Bytes and times of the packets of the first stream of a kind."""
    with av.open(str(path)) as film:
        stream = film.streams.get({kind: 0})[0]
        return [
            (bytes(p), round(1000 * p.pts * p.time_base))
            for p in film.demux(stream)
            if p.dts is not None
        ]
