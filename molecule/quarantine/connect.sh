#!/bin/sh
# Say curl's exit codes over each address family: from a stranger to this host, and from this host to the stranger.
# 0 it answers, 28 nothing comes back. The stranger is a network namespace of its own, so that nothing leaves this machine.
set -eu
trap 'kill "$server"; ip netns delete stranger' EXIT
ip netns add stranger
ip link add stranger0 type veth peer name eth0 netns stranger
ip address add 198.51.100.1/24 dev stranger0
ip address add 2001:db8:51::1/64 dev stranger0 nodad
ip link set stranger0 up
ip -n stranger address add 198.51.100.2/24 dev eth0
ip -n stranger address add 2001:db8:51::2/64 dev eth0 nodad
ip -n stranger link set eth0 up
ip netns exec stranger python3 -m http.server --bind :: --directory /usr/share/doc 9100 >/dev/null 2>&1 &
server=$!
until ip netns exec stranger ss --no-header --listening --tcp --numeric | grep -q :9100; do sleep 0.1; done
ask() {
  code=0
  "$@" --silent --globoff --output /dev/null --connect-timeout 1 --max-time 10 || code=$?
  echo "$code"
}
ask ip netns exec stranger curl http://198.51.100.1:9100/
ask ip netns exec stranger curl 'http://[2001:db8:51::1]:9100/'
ask curl http://198.51.100.2:9100/
ask curl 'http://[2001:db8:51::2]:9100/'
