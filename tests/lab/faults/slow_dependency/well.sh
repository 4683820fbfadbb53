# The last twelve customers were all served, within two seconds each.
tail -n 12 /run/customers | awk '$2 != "201" || $3 > 2 { wrong = 1; print $2 " after " $3 " s" > "/dev/stderr" } END { exit wrong || NR < 12 }'
