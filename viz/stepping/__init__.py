"""Forward and backward, step by step, with the numbers: `playback`."""

from .recorded import Playback, playback

__all__ = ["Playback", "playback"]
