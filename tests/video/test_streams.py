"""What a film is beside its pixels goes through restoration unchanged."""

from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

import tiny
from pellucid.errors import ImageError, UsageError
from pellucid.video import restore_video

from .clips import film, packets, pictures, shown, times


@pytest.fixture(scope="module")
def same():
    """Restoring that changes no pixel: strength 0."""
    restorer = tiny.restorer()
    return lambda source, target, **options: restore_video(
        source, target, restorer, strength=0.0, **options
    )


def stream_of(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        return {
            "codec": stream.codec_context.name,
            "format": frame.format.name,
            "size": (frame.width, frame.height),
            "range": frame.color_range,
            "space": frame.colorspace,
            "primaries": frame.color_primaries,
            "transfer": frame.color_trc,
            "rotation": frame.rotation,
        }


FORMATS = [
    ("a.mp4", "libx264", "yuv420p", (64, 48)),
    ("a.mp4", "libx264", "yuv444p", (64, 48)),
    ("a.mkv", "libx264", "yuv420p10le", (64, 48)),
    ("a.mp4", "libx265", "yuv420p10le", (64, 48)),
    ("a.mov", "libx265", "yuv422p10le", (64, 48)),
    ("a.webm", "libvpx-vp9", "yuv420p", (63, 47)),
    ("a.mp4", "libsvtav1", "yuv420p10le", (64, 64)),
    ("a.mov", "prores_ks", "yuv422p10le", (64, 48)),
    ("a.mkv", "ffv1", "yuv422p10le", (63, 47)),
    ("a.mkv", "ffv1", "yuv420p", (64, 48)),
    ("a.avi", "mjpeg", "yuvj420p", (64, 48)),
]


@pytest.mark.parametrize(("name", "codec", "format", "size"), FORMATS)
def test_codec_depth_chroma_and_size_are_those_of_the_source(
    tmp_path, same, name, codec, format, size
):
    source = film(tmp_path / name, pictures(6, size), codec, format)
    report = same(source, tmp_path / f"out-{name}")
    assert report.frames == 6 and report.notes == []
    assert stream_of(tmp_path / f"out-{name}") == stream_of(source)
    before, after = np.array(shown(source)), np.array(shown(tmp_path / f"out-{name}"))
    assert np.abs(before - after).mean() < 0.012
    assert times(tmp_path / f"out-{name}") == times(source)


def test_a_lossless_codec_gives_the_levels_of_luma_back(tmp_path, same):
    source = film(tmp_path / "a.mkv", codec="ffv1", format="yuv420p10le")
    same(source, tmp_path / "b.mkv")
    lumas = []
    for path in (source, tmp_path / "b.mkv"):
        with av.open(str(path)) as container:
            planes = [np.frombuffer(f.planes[0], np.uint16) for f in container.decode(video=0)]
            lumas.append(np.array(planes, int))
    assert np.abs(lumas[0] - lumas[1]).max() <= 2  # of 1023


def test_variable_frame_times_are_kept(tmp_path, same):
    moments = [0, 40, 80, 200, 210, 500, 900, 1000, 1500, 1540, 1580, 3000]
    for name in ("a.mp4", "a.mkv"):
        source = film(tmp_path / name, times=moments)
        same(source, tmp_path / f"out-{name}")
        assert times(tmp_path / f"out-{name}") == times(source) == moments
        lengths = []
        for path in (source, tmp_path / f"out-{name}"):
            with av.open(str(path)) as container:
                lengths.append(container.duration)
        assert abs(lengths[0] - lengths[1]) <= 2000  # microseconds


@pytest.mark.parametrize(
    "tags",
    [
        {"color_range": 1, "colorspace": 1, "color_primaries": 1, "color_trc": 1},
        {"color_range": 2, "colorspace": 6, "color_primaries": 6, "color_trc": 6},
        {"color_range": 1, "colorspace": 9, "color_primaries": 9, "color_trc": 16},
    ],
)
def test_tags_of_colour_are_copied(tmp_path, same, tags):
    source = film(tmp_path / "a.mp4", format="yuv420p10le", **tags)
    same(source, tmp_path / "b.mp4")
    found = stream_of(tmp_path / "b.mp4")
    assert found == stream_of(source)
    wanted = (tags["color_range"], tags["colorspace"], tags["color_primaries"], tags["color_trc"])
    assert (found["range"], found["space"], found["primaries"], found["transfer"]) == wanted


@pytest.mark.parametrize("degrees", [90, -90, 180])
def test_rotation_is_copied_and_the_network_sees_upright_frames(tmp_path, degrees):
    source = film(tmp_path / "a.mp4", rotation=degrees)
    restorer, seen = tiny.restorer(), []
    original = restorer.restored

    def spy(batch, *args, **options):
        seen.append(batch[0].permute(1, 2, 0).numpy())
        return original(batch, *args, **options)

    restorer.restored = spy
    restore_video(source, tmp_path / "b.mp4", restorer, strength=0.01)
    found = [stream_of(path)["rotation"] for path in (source, tmp_path / "b.mp4")]
    assert [angle % 360 for angle in found] == [degrees % 360] * 2
    upright = np.rot90(shown(source)[0], degrees // 90)
    assert seen[0].shape == upright.shape and np.abs(seen[0] - upright).mean() < 0.02
    assert np.abs(shown(tmp_path / "b.mp4")[0] - shown(source)[0]).mean() < 0.03


@pytest.mark.parametrize(("name", "subtitles"), [("a.mp4", "mov_text"), ("a.mkv", "subrip")])
def test_sound_and_subtitles_are_copied_byte_for_byte(tmp_path, same, name, subtitles):
    source = film(tmp_path / name, sound=True, subtitles=subtitles)
    report = same(source, tmp_path / f"out-{name}")
    assert report.notes == []
    for kind in ("audio", "subtitles"):
        assert packets(tmp_path / f"out-{name}", kind) == packets(source, kind) != []
    with av.open(str(tmp_path / f"out-{name}")) as container:
        assert container.metadata["title"] == "A walk"
        assert container.streams.audio[0].metadata["language"] == "fra"


def test_chapters_are_copied(tmp_path, same):
    source = film(tmp_path / "a.mkv", codec="ffv1")
    marked = tmp_path / "marked.mkv"
    chapter = {
        "id": 1,
        "start": 100,
        "end": 700,
        "time_base": Fraction(1, 1000),
        "metadata": {"title": "One"},
    }
    with av.open(str(source)) as a, av.open(str(marked), "w") as b:
        stream = b.add_stream_from_template(a.streams.video[0], opaque=True)
        b.set_chapters([chapter])
        for packet in a.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                b.mux(packet)
    same(marked, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        [found] = container.chapters()
    start, end = (found[key] * found["time_base"] for key in ("start", "end"))
    assert (start, end, found["metadata"]) == (Fraction(1, 10), Fraction(7, 10), {"title": "One"})


def test_what_a_container_cannot_hold_is_said(tmp_path, same):
    source = film(tmp_path / "a.mkv", sound=True, subtitles="subrip")
    report = same(source, tmp_path / "b.webm")
    assert stream_of(tmp_path / "b.webm")["codec"] in ("vp9", "libvpx-vp9")
    assert len(report.notes) == 2 and "audio" in report.notes[0] and "subtitle" in report.notes[1]


def test_odd_sides_stay_what_they_are(tmp_path, same):
    source = film(tmp_path / "a.mp4", pictures(4, (63, 47)), format="yuv444p")
    same(source, tmp_path / "b.mp4")
    assert stream_of(tmp_path / "b.mp4")["size"] == (63, 47)
    vp9 = film(tmp_path / "a.webm", pictures(4, (63, 47)), "libvpx-vp9")
    report = same(vp9, tmp_path / "c.mp4")  # VP9 goes into MP4, too
    assert stream_of(tmp_path / "c.mp4")["size"] == (63, 47) and report.notes == []
    gif = tmp_path / "a.gif"
    animation(gif, size=(63, 47))
    assert same(gif, tmp_path / "d.mp4").frames == 4
    assert stream_of(tmp_path / "d.mp4")["format"] == "yuv444p"


def test_part_of_a_film_begins_at_zero_and_its_sound_with_it(tmp_path, same):
    source = film(tmp_path / "a.mkv", pictures(20), sound=True)
    report = same(source, tmp_path / "b.mkv", frames=(5, 12))
    assert report.frames == 7
    assert times(tmp_path / "b.mkv") == [0, 100, 200, 300, 400, 500, 600]
    error = np.array(shown(tmp_path / "b.mkv")) - np.array(shown(source)[5:12])
    assert np.abs(error).mean() < 0.01
    sound = packets(tmp_path / "b.mkv", "audio")
    whole = packets(source, "audio")
    assert [p[0] for p in sound] == [p[0] for p in whole if 500 <= p[1] < 1200]
    assert 0 <= sound[0][1] < 70
    for span in ((20, None), (25, 30)):
        with pytest.raises(UsageError, match="has 20 frames"):
            same(source, tmp_path / "c.mkv", frames=span)
    with pytest.raises(UsageError, match="are none"):
        same(source, tmp_path / "c.mkv", frames=(3, 3))
    assert not (tmp_path / "c.mkv").exists()


# animations -------------------------------------------------------------------


def animation(path, size=(32, 24), durations=(100, 200, 50, 400), loop=3):
    frames = []
    for i, picture in enumerate(pictures(len(durations), size, step=2)):
        image = Image.fromarray(np.rint(picture * 255).astype(np.uint8)).convert("RGBA")
        image.paste((0, 0, 0, 0), (4 + i, 4, 12 + i, 12))
        frames.append(image)
    options = {"lossless": True} if path.suffix == ".webp" else {}
    options |= {"disposal": 2} if path.suffix == ".gif" else {}
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=list(durations),
        loop=loop,
        **options,
    )
    return path


def played(path):
    """Loop count, durations and RGBA frames ``(h, w, 4)`` in [0, 1] of an animation."""
    with Image.open(path) as image:
        durations, frames = [], []
        for i in range(image.n_frames):
            image.seek(i)
            image.load()
            durations.append(round(image.info["duration"]))
            frames.append(np.asarray(image.convert("RGBA")) / 255)
        return image.info.get("loop"), durations, np.array(frames)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_animations_keep_durations_loops_and_transparency(tmp_path, same, name):
    source = animation(tmp_path / name)
    report = same(source, tmp_path / f"out-{name}")
    assert report.frames == 4
    loop, durations, before = played(source)
    new_loop, new_durations, after = played(tmp_path / f"out-{name}")
    assert (new_loop, len(new_durations)) == (loop, 4)
    timed = 3 if name == "a.webp" else 4  # libwebp takes the mean for the last frame
    assert any("last frame" in note for note in report.notes) == (timed == 3)
    assert np.abs(np.array(new_durations) - durations)[:timed].max() <= 1  # ms
    assert ((after[..., 3] > 0.5) == (before[..., 3] > 0.5)).all()
    opaque = before[..., 3] > 0.5
    assert np.abs(before - after)[opaque].mean() < 0.03


def test_transparency_that_a_film_cannot_hold_is_said(tmp_path, same):
    report = same(animation(tmp_path / "a.gif"), tmp_path / "a.mp4")
    assert any("transparency" in note for note in report.notes)
    assert times(tmp_path / "a.mp4") == [0, 100, 300, 350]


def test_a_film_becomes_an_animation(tmp_path, same):
    source = film(tmp_path / "a.mp4", sound=True)
    report = same(source, tmp_path / "a.gif")
    assert "audio" in report.notes[0]
    _, durations, frames = played(tmp_path / "a.gif")
    assert durations == [100] * 12 and frames[0, ..., 3].min() == 1
    assert np.abs(frames[..., :3] - np.array(shown(source))).mean() < 0.04


# what is refused ---------------------------------------------------------------


def test_files_that_are_no_films_are_refused_with_a_sentence(tmp_path, same):
    (tmp_path / "text.mp4").write_text("this is no film " * 100)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "folder.mp4").mkdir()
    whole = film(tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut.gif").write_bytes(b"GIF89a" + bytes(20))
    for name in ("text.mp4", "empty.mp4", "folder.mp4", "cut.mp4", "cut.gif", "none.mp4"):
        with pytest.raises(ImageError, match=name):
            same(tmp_path / name, tmp_path / "out.mp4")
    assert not list(tmp_path.glob("out*")) and not list(tmp_path.glob(".pellucid*"))


def test_a_file_without_pictures_is_refused(tmp_path, same):
    with av.open(str(tmp_path / "a.m4v"), "w", format="mp4") as out:
        voice = out.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.int16), format="s16", layout="mono"
        )
        frame.sample_rate = 16000
        out.mux(voice.encode(frame))
        out.mux(voice.encode())
    with pytest.raises(ImageError, match="no moving pictures"):
        same(tmp_path / "a.m4v", tmp_path / "b.mp4")


def test_damage_in_the_middle_costs_frames_and_is_said(tmp_path, same):
    source = film(tmp_path / "a.mkv", pictures(30), codec="mjpeg", format="yuvj420p")
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 60] = bytes(60)
    (tmp_path / "b.mkv").write_bytes(data)
    report = same(tmp_path / "b.mkv", tmp_path / "c.mkv")
    assert 15 <= report.frames <= 30
    assert len(shown(tmp_path / "c.mkv")) == report.frames


def test_frames_that_the_decoder_calls_corrupt_are_counted_and_said(tmp_path, same):
    source = film(tmp_path / "a.mp4", pictures(8), codec="mpeg4", format="yuv420p")
    data = bytearray(source.read_bytes())
    for at in (len(data) // 3, len(data) // 2):
        data[at] ^= 255
    (tmp_path / "b.mp4").write_bytes(data)
    report = same(tmp_path / "b.mp4", tmp_path / "c.mp4")
    assert report.frames < 8
    assert f"{8 - report.frames} damaged pieces could not be decoded" in " ".join(report.notes)


def test_frames_that_are_too_large_and_names_that_are_taken_are_refused(tmp_path, same):
    source = film(tmp_path / "a.mp4")
    with pytest.raises(ImageError, match=r"a\.mp4.*max_pixels"):
        same(source, tmp_path / "b.mp4", max_pixels=1000)
    with pytest.raises(UsageError, match=r"b\.xyz.*choose one of"):
        same(source, tmp_path / "b.xyz")
    with pytest.raises(ImageError, match="is the input itself"):
        same(source, source, overwrite=True)
    (tmp_path / "b.mp4").write_text("mine")
    with pytest.raises(ImageError, match="exists already"):
        same(source, tmp_path / "b.mp4")
    assert (tmp_path / "b.mp4").read_text() == "mine"
    assert same(source, tmp_path / "b.mp4", overwrite=True).frames == 12
