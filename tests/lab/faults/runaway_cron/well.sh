# Neither runs the report, nor will cron begin it again.
if pgrep --full 'sum\(range\(100000\)\)' >&2; then exit 1; fi
if grep --recursive --files-with-matches '^[^#]*orders-report' /etc/cron.d /etc/crontab /var/spool/cron >&2; then exit 1; fi
