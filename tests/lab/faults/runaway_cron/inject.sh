# A report that cron starts each minute and that takes longer than that, with all the CPU it can get.
cat >/usr/local/sbin/orders-report <<'PROGRAM'
#!/bin/sh
# Sum up the orders; the four regions at once.
for region in north south east west; do
  timeout 200 python3 -c 'while True: sum(range(100000))' "$region" &
done
wait
PROGRAM
chmod 755 /usr/local/sbin/orders-report
echo '* * * * * root /usr/local/sbin/orders-report' >/etc/cron.d/orders-report
