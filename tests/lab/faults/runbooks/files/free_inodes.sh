# DATA are the folders of services.
set -eu
for folder in $DATA; do
  used=$(df --output=ipcent "$folder" | tail -n 1 | tr -dc 0-9)
  [ "${used:-0}" -ge 90 ] || continue
  find "$folder" -xdev -type d | while read -r place; do
    printf '%s %s\n' "$(find "$place" -maxdepth 1 -type f -size -16k | wc -l)" "$place"
  done | sort --numeric-sort --reverse | head -n 1 | while read -r count place; do
    # What is not known to be made anew is left to a person.
    printf '%s\n' "${place##*/}" | grep --quiet --extended-regexp '^(sessions?|caches?|tmp|temp|drafts?)$' || exit 0
    mkdir -p /var/backups/put-aside
    to=/var/backups/put-aside/$(printf '%s' "${place#/}" | tr / -)-$(date +%s).tar.gz
    tar --create --gzip --file="$to" "$place" 2>/dev/null
    find "$place" -maxdepth 1 -type f -delete
    echo "$count files of $place are in $to"
  done
done
