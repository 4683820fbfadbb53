#!/bin/sh
# Say how many orders there are: in the shop, and in what restic restores of its last backup.
set -eu
folder=$(mktemp --directory)
trap 'rm -r "$folder"' EXIT
restic() {
  command restic --quiet --no-cache --repo /var/backups/incidentctl --password-file /etc/incidentctl/restic "$@"
}
count() {
  python3 -c 'import sqlite3, sys
print(sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True).execute("SELECT count(*) FROM orders").fetchone()[0])' "$1"
}
restic check >/dev/null
restic restore latest --target "$folder"
count /srv/shop/data/shop.db
count "$folder/shop.db"
