"""Sessions of onnxruntime over the networks of bundles; all of a process work in one arena of memory."""

from functools import cache
from pathlib import Path

import onnxruntime as ort


def make_session(network: Path | bytes, threads: int) -> ort.InferenceSession:
    """Return a session over an ONNX file, or its content; `threads` is the number of threads of one call.

    An arena of its own would keep what the largest call of each session took, 65 MB for a thousand windows of the
    pumps' model, which takes 5 MB itself.
    """
    _share_arena()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.use_env_allocators", "1")
    return ort.InferenceSession(network, options, providers=["CPUExecutionProvider"])


@cache
def _share_arena() -> None:
    """Make the arena of this process, once."""
    kind = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(kind, None)
