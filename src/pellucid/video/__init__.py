"""Films and animations: restored frame by frame, steady in time, with sound and subtitles kept.

    from pellucid.video import restore_video
    restore_video("clip.mp4", "clean.mp4", pellucid.load())

Frames are streamed: memory does not grow with length. Needs PyAV (`pip install
'pellucid[video]'`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.lazy import exports

if TYPE_CHECKING:
    from pellucid.video.kinds import is_video
    from pellucid.video.restore import Report, restore_video

__all__ = ["Report", "is_video", "restore_video"]

__getattr__, __dir__ = exports(
    __name__,
    {
        "Report": "pellucid.video.restore",
        "is_video": "pellucid.video.kinds",
        "restore_video": "pellucid.video.restore",
    },
)
