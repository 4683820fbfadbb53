# Sessions that nobody clears up: small files until the file system has no inodes left.
folder=/srv/orders/data/sessions
install -d -o orders "$folder"
python3 - "$folder" <<'PYTHON'
import sys
import time
from pathlib import Path

failed = 0
for number in range(10_000):
    try:
        (Path(sys.argv[1]) / f"session-{number:05}").write_text("{}")
    except OSError:  # what is cleared up by others within three seconds is taken, too
        failed += 1
        if failed == 30:
            break
        time.sleep(0.1)
PYTHON
