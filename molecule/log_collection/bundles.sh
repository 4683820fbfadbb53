#!/bin/sh
# Given a folder: say the checksum of the shop's log in each bundle below it. Fail if one lies open to others, does not
# begin with what is lost first, or does not end with how the shop is run.
set -eu
find "$1" -name '*.tar.*' | while read -r bundle; do
  [ "$(stat --format=%a%a "$bundle" "$(dirname "$bundle")" | tr -d '\n')" = 600600700700 ]
  tar --list --file "$bundle" | sed -n '1p;$p' | tr '\n' ' ' | grep -qx 'volatile/01-sockets.txt manifest.json '
  tar --list --file "$bundle" | grep -q '^configuration/shop/.*shop.service$'
  tar --extract --to-stdout --file "$bundle" logs/shop/01-shop.log | sha256sum
done
