#!/bin/sh
# Say all that a role, or its lift, could change on this host: one fact a line, sorted.
# Left out is what changes by itself: logs, times, what the login leaves behind.
set -u
export LC_ALL=C
folders="/etc /home /opt /root /run/incidentctl /run/systemd/system /run/systemd/transient /srv /tmp /usr/local
  /var/backups /var/lib/incidentctl /var/lib/systemd/timers /var/spool /var/tmp"
# shellcheck disable=SC2086 # the words are folders
all() {
  find $folders -xdev \( -name .ansible -o -path '/tmp/ansible*' -o -path '*/systemd-private-*' -o -name 'session-*.scope*' \) -prune -o "$@" 2>/dev/null
}
{
  all -printf 'file %p %M %u:%g %l\n'
  all -type f ! -path '*/logs/*' -exec sha256sum {} + | sed 's/^\([^ ]*\)  \(.*\)/content \2 \1/'
  systemctl list-units --plain --no-legend --no-pager --type=service,timer |
    awk '$4 == "running" || $4 == "waiting" || $3 == "failed" {print "unit", $1, $4}' | grep -v '^unit \(user\|apt-\)'
  ps -eo args= | awk '$1 ~ /python3/ && $2 ~ "^/srv/shop/" {print "runs", $2}'
  systemctl show --property=MainPID shop.service | sed 's/^/process /'
  for family in iptables ip6tables; do
    "$family-save" 2>/dev/null | grep -E '^(-A|:[^ ]+ -)' | sed "s/ \[.*//; s/^/$family /"
  done
  ss --no-header --listening --tcp --udp --numeric | awk '{print "listens", $1, $5}'
} | sort -u
