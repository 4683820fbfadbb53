# Of the last four customers one was not served, or none came: somebody calls.
! tail -n 4 /run/customers | awk -v now="$(date +%s)" '$2 != "201" { wrong = 1 } { last = $1 } END { exit wrong || now - last > 10 }'
