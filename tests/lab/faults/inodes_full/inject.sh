# Sessions that nobody clears up: small files until the file system has no inodes left.
folder=/srv/orders/data/sessions
install -d -o orders "$folder"
python3 - "$folder" <<'PYTHON'
import sys
from pathlib import Path

try:
    for number in range(10_000):
        (Path(sys.argv[1]) / f"session-{number:05}").write_text("{}")
except OSError:
    pass
PYTHON
