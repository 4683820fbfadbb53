# The report may have as many connections as ever.
runuser --user postgres -- psql --quiet --command="ALTER ROLE reporting CONNECTION LIMIT -1"
