#!/bin/sh
# Say how many of 30 connections a stranger gets through to port 9100, over each address family.
# The stranger is a network namespace of its own, so that nobody here is cut off. Who gets through may be answered late.
set -eu
trap 'ip netns delete stranger' EXIT
ip netns add stranger
ip link add stranger0 type veth peer name eth0 netns stranger
ip address add 198.51.100.1/24 dev stranger0
ip address add 2001:db8:51::1/64 dev stranger0 nodad
ip link set stranger0 up
ip -n stranger address add 198.51.100.2/24 dev eth0
ip -n stranger address add 2001:db8:51::2/64 dev eth0 nodad
ip -n stranger link set eth0 up
for address in 198.51.100.1 '[2001:db8:51::1]'; do
  through=0
  for _ in $(seq 30); do
    if ip netns exec stranger curl --silent --globoff --output /dev/null --connect-timeout 0.5 --max-time 10 "http://$address:9100/"; then
      through=$((through + 1))
    fi
  done
  echo "$through"
done
