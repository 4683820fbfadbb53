# The last twelve customers were all served, and one just now.
tail -n 12 /run/customers | awk -v now="$(date +%s)" '
  $2 != "201" { wrong = 1; print "a customer got " $2 > "/dev/stderr" }
  { last = $1 }
  END { if (NR < 12 || now - last > 10) print "no customer came" > "/dev/stderr"; exit wrong || NR < 12 || now - last > 10 }'
