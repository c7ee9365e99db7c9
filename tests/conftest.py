"""Settings of every test."""

import hashlib
import os
import tempfile
from pathlib import Path

from hypothesis import settings

settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci")

# numba keeps a kernel's machine code until the kernel's own file changes; what it inlines from the ledger does not
# count. A cache for each state of these files, set before numba is imported, tests what is there.
_package = Path(__file__).parents[1] / "etfgym"
_kernels = [_package / name for name in ("ledger.py", "hindsight.py", "envs/kernel.py", "envs/windows.py")]
_state = hashlib.sha256(b"".join(path.read_bytes() for path in _kernels)).hexdigest()[:12]
os.environ["NUMBA_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / f"etfgym-numba-{_state}")
