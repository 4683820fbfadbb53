systemctl is-active --quiet postgresql@15-main.service || {
  systemctl stop postgresql@15-main.service
  systemctl reset-failed postgresql@15-main.service || true
  systemctl start postgresql@15-main.service
}
